//! The CEL rules of the CRD, evaluated as the API server does.

use std::{
    cell::RefCell,
    collections::HashMap,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};

use kube::core::cel::{
    KubeCelExt,
    cel::{Context, ExecutionError, Program, Value, extractors::This, to_value},
};
use regex::Regex;
use serde_json::Value as Json;

/// What evaluates rules; each is compiled once, and so is each regular expression in them.
pub struct Rules {
    context: Context<'static>,
    programs: RefCell<HashMap<String, Option<Rc<Program>>>>,
}

impl Rules {
    /// With Kubernetes' own functions.
    pub fn new() -> Self {
        let mut context = Context::default().with_all();
        context.add_function("matches", cached_matches());
        Self { context, programs: RefCell::default() }
    }

    /// Whether a rule holds of a value. One that can't be compiled or evaluated doesn't, as the API server has it.
    pub fn holds(&self, rule: &str, value: &Json) -> bool {
        let Some(program) = self.program(rule) else {
            return false;
        };
        let Ok(value) = to_value(value) else {
            return false;
        };
        let mut scope = self.context.new_inner_scope();
        scope.add_variable_from_value("self", value);
        matches!(program.execute(&scope), Ok(Value::Bool(true)))
    }

    fn program(&self, rule: &str) -> Option<Rc<Program>> {
        if let Some(known) = self.programs.borrow().get(rule) {
            return known.clone();
        }
        let program = Program::compile(rule).ok().map(Rc::new);
        self.programs.borrow_mut().insert(rule.to_owned(), program.clone());
        program
    }
}

/// CEL's `matches`. The crate's own compiles the expression at every call, which takes longer than all the rest.
fn cached_matches() -> impl Fn(This<Arc<String>>, Arc<String>) -> Result<bool, ExecutionError> + Send + Sync + 'static {
    let known: Mutex<HashMap<String, Regex>> = Mutex::default();
    move |This(text): This<Arc<String>>, expression: Arc<String>| {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(regex) = known.get(expression.as_str()) {
            return Ok(regex.is_match(&text));
        }
        let regex = Regex::new(&expression).map_err(|error| ExecutionError::FunctionError {
            function: "matches".to_owned(),
            message: error.to_string(),
        })?;
        let is_match = regex.is_match(&text);
        known.insert(expression.as_str().to_owned(), regex);
        Ok(is_match)
    }
}
