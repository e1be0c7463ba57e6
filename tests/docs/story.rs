//! A document from its beginning to its end: everything in it is typed, and what it says comes of it is compared.

use controlplane::docs::{self, Block, Mark, Place, is_written_as};

use crate::{asides, stage::Stage, usage};

/// The one document whose blocks for a node the end-to-end suite types.
const WITH_NODE: &str = "docs/kustomize.md";

/// Whether there is a block in it.
pub fn is_one(document: &str) -> bool {
    docs::blocks(&crate::read(document)).map_or(true, |blocks| !blocks.is_empty())
}

pub fn play(document: &str) {
    let blocks = docs::blocks(&crate::read(document)).unwrap_or_else(|why| panic!("in {document}\n{why}"));
    let needs_stage = |block: &Block| matches!(block.mark, Mark::Run(..) | Mark::Manifest);
    let mut stage = blocks.iter().any(needs_stage).then(Stage::new);
    for block in &blocks {
        if let (Mark::File(path), Some(stage)) = (&block.mark, &stage) {
            stage.append(path, &block.text);
        }
    }
    if let Some(stage) = &mut stage {
        asides::set_the_scene(document, stage);
    }
    let mut asides = asides::of(document);
    let mut written = String::new();
    for block in &blocks {
        let what = format!("{document}, line {}", block.line);
        match (&block.mark, &mut stage) {
            (Mark::Run(..), Some(stage)) => written = run(&what, block, stage, &mut asides),
            (Mark::Manifest, Some(stage)) => {
                let apply = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"];
                let taken = stage.cluster.kubectl_with_input(&apply, &block.text);
                taken.unwrap_or_else(|why| panic!("{what}: the API server refuses it: {why}"));
            }
            (Mark::Output, _) => assert_written(&what, &format!("…\n{}", block.text), &written),
            (Mark::Usage, _) => usage::check(&what, &block.text),
            (Mark::File(_), stage) => assert!(stage.is_some(), "{what}: nothing is typed that could read it"),
            (Mark::NotRun | Mark::Text, _) | (_, None) => {}
        }
    }
    assert!(asides.is_empty(), "{document} has no command with {:?} any more", asides[0].at);
}

/// Types a block, and gives what it has written.
fn run(what: &str, block: &Block, stage: &mut Stage, asides: &mut Vec<asides::Aside>) -> String {
    let Mark::Run(places, exit) = &block.mark else { unreachable!("it is to be run") };
    let Some(place) = places.iter().copied().find(|place| *place != Place::Node) else {
        assert!(what.starts_with(WITH_NODE), "{what}: commands for a node are typed only of {WITH_NODE}");
        return String::new();
    };
    let mut last = String::new();
    for (command, expected) in block.commands() {
        asides::act(asides::When::Before, &command, asides, stage);
        let (code, written) = stage.run(place, &command);
        assert!(code == *exit, "{what}: it ended with {code}, not {exit}\n{command}\n{written}");
        if let Some(expected) = expected {
            assert_written(what, &expected, &written);
        }
        asides::act(asides::When::After, &command, asides, stage);
        last = written;
    }
    last
}

fn assert_written(what: &str, expected: &str, written: &str) {
    assert!(is_written_as(expected, written), "{what} says that this is written:\n{expected}\nbut it is:\n{written}");
}
