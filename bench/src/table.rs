//! The figures, as a table of medians.

#[derive(Default)]
pub struct Table {
    title: String,
    rows: Vec<(String, Vec<f64>)>,
    notes: Vec<(String, String)>,
}

impl Table {
    pub fn new(namespaces: usize, accounts: usize) -> Self {
        let title = format!("{namespaces} namespaces, {accounts} service accounts in each");
        Self { title, ..Self::default() }
    }

    pub fn add(&mut self, row: String, value: f64) {
        eprintln!("{row}: {value:.3}");
        match self.rows.iter_mut().find(|(name, _)| *name == row) {
            Some((_, values)) => values.push(value),
            None => self.rows.push((row, vec![value])),
        }
    }

    pub fn note(&mut self, of: &str, words: String) {
        self.notes.retain(|(name, _)| name != of);
        self.notes.push((of.to_owned(), words));
    }

    pub fn print(&self) {
        println!("\n{}\n\n| | median | all |\n| --- | ---: | --- |", self.title);
        for (row, values) in &self.rows {
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let all: Vec<String> = values.iter().map(|v| format!("{v:.2}")).collect();
            println!("| {row} | {:.3} | {} |", sorted[sorted.len() / 2], all.join(" "));
        }
        for (of, words) in &self.notes {
            println!("\nrequests, {of}: {words}");
        }
    }
}
