//! The figures: a table of medians, a JSON file, and a picture of several runs.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// What is compared: the ratio's name, the operator's figure and the yardstick's.
const RATIOS: [[&str; 3]; 15] = [
    ["converge{with}", "regcred converge{with} [s]", "bare converge{with}, best [s]"],
    ["converge{with}, CPU", "regcred converge{with}: CPU [s]", "bare converge{with}, best: CPU [s]"],
    ["rotation{with}", "regcred rotation{with} [s]", "bare rotation{with}, best [s]"],
    ["converge{with}, to applies alone", "regcred converge{with} [s]", "bare converge{with}, apply [s]"],
    ["rotation{with}, to applies alone", "regcred rotation{with} [s]", "bare rotation{with}, apply [s]"],
    [
        "converge{with}, to the version before",
        "regcred converge{with} [s]",
        "regcred converge{with}, version before [s]",
    ],
    [
        "rotation{with}, to the version before",
        "regcred rotation{with} [s]",
        "regcred rotation{with}, version before [s]",
    ],
    [
        "converge{with}, the API server's CPU, to the version before",
        "regcred converge{with}: API server's CPU [s]",
        "regcred converge{with}, version before: API server's CPU [s]",
    ],
    [
        "rotation{with}, the API server's CPU, to the version before",
        "regcred rotation{with}: API server's CPU [s]",
        "regcred rotation{with}, version before: API server's CPU [s]",
    ],
    [
        "a Secret in etcd{with}, to the version before",
        "regcred converge{with}: a Secret in etcd [bytes]",
        "regcred converge{with}, version before: a Secret in etcd [bytes]",
    ],
    ["restart{with}: ready / bare lists", "regcred restart{with}, to ready [s]", "bare lists{with} [s]"],
    [
        "new service account{with}, p50",
        "regcred new service account{with} [ms]: p50",
        "bare new service account{with} [ms]: p50",
    ],
    [
        "new service account{with}, p99",
        "regcred new service account{with} [ms]: p99",
        "bare new service account{with} [ms]: p99",
    ],
    [
        "new service account during a rotation{with}, p50",
        "regcred new service account, during a rotation{with} [ms]: p50",
        "bare new service account, during a rotation{with} [ms]: p50",
    ],
    [
        "new service account during a rotation{with}, p99",
        "regcred new service account, during a rotation{with} [ms]: p99",
        "bare new service account, during a rotation{with} [ms]: p99",
    ],
];

/// All figures of one run.
#[derive(Serialize, Deserialize)]
pub struct Report {
    /// How many namespaces.
    pub namespaces: usize,
    /// How many service accounts in each.
    pub service_accounts: usize,
    /// How many foreign Secrets.
    pub foreign_secrets: usize,
    /// The machine.
    pub machine: String,
    /// Each figure's values, one for each round.
    pub figures: Vec<(String, Vec<f64>)>,
    /// Which requests there were.
    pub requests: BTreeMap<String, String>,
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpus.lines().find_map(|l| l.strip_prefix("model name")?.split_once(':')).map_or("unknown", |(_, m)| m.trim());
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.lines().next().and_then(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{model}, {cores} cores, {} GiB", kib >> 20)
}

impl Report {
    pub fn new(namespaces: usize, service_accounts: usize, foreign_secrets: usize) -> Self {
        let (figures, requests) = (Vec::new(), BTreeMap::new());
        Self { namespaces, service_accounts, foreign_secrets, machine: machine(), figures, requests }
    }

    pub fn add(&mut self, name: &str, value: f64) {
        eprintln!("  {name}: {value:.3}");
        match self.figures.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => values.push(value),
            None => self.figures.push((name.to_owned(), vec![value])),
        }
    }

    /// The median and the 99th percentile.
    pub fn quantiles(&mut self, name: &str, mut values: Vec<f64>) {
        values.sort_by(f64::total_cmp);
        let at = |q: f64| values.get((values.len() as f64 * q) as usize).or(values.last()).copied().unwrap_or(f64::NAN);
        self.add(&format!("{name}: p50 of {}", values.len()), at(0.5));
        self.add(&format!("{name}: p99 of {}", values.len()), at(0.99));
    }

    pub fn note(&mut self, of: &str, words: String) {
        self.requests.insert(of.to_owned(), words);
    }

    /// The median of a figure.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|(known, _)| known.starts_with(name)).map(|(_, values)| median(values))
    }

    pub fn print(&self) {
        println!(
            "\n{} namespaces, {} service accounts in each, {} foreign Secrets; {}\n",
            self.namespaces, self.service_accounts, self.foreign_secrets, self.machine
        );
        println!("| | median | all |\n| --- | ---: | --- |");
        for (name, values) in &self.figures {
            let all: Vec<String> = values.iter().map(|v| format!("{v:.2}")).collect();
            println!("| {name} | {:.2} | {} |", median(values), all.join(" "));
        }
        println!("\n| ratio | |\n| --- | ---: |");
        for with in ["", ", 2 credentials", ", 4 credentials", ", 8 credentials", ", fenced"] {
            for [name, regcred, bare] in RATIOS {
                let named = |text: &str| text.replace("{with}", with);
                self.ratio(&named(name), &named(regcred), &named(bare));
            }
        }
        println!();
        for (of, words) in &self.requests {
            println!("requests, {of}: {words}");
        }
    }

    fn ratio(&self, name: &str, regcred: &str, bare: &str) {
        if let (Some(regcred), Some(bare)) = (self.get(regcred), self.get(bare)) {
            println!("| {name} | {:.2} |", regcred / bare);
        }
    }
    pub fn write(&self, path: &Path) {
        let text = serde_json::to_string_pretty(self).expect("figures are JSON");
        std::fs::write(path, text + "\n").unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        eprintln!("the figures are in {}", path.display());
    }
}

/// A line of the picture.
struct Line {
    name: &'static str,
    figure: &'static str,
    colour: &'static str,
}

/// Milliseconds a namespace, and MiB, against the number of namespaces.
pub fn plot(files: &[PathBuf], out: &Path) {
    let mut reports: Vec<Report> = files
        .iter()
        .map(|file| {
            let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        })
        .collect();
    reports.sort_by_key(|report| report.namespaces);
    let time = [
        Line { name: "bare client: converge", figure: "bare converge, best [s]", colour: "#888888" },
        Line { name: "regcred: converge", figure: "regcred converge [s]", colour: "#1f6feb" },
        Line { name: "bare client: rotation", figure: "bare rotation, best [s]", colour: "#c9b458" },
        Line { name: "regcred: rotation", figure: "regcred rotation [s]", colour: "#d1242f" },
        Line { name: "regcred: restart, to ready", figure: "regcred restart, to ready [s]", colour: "#1a7f37" },
    ];
    let memory = [
        Line {
            name: "regcred: at most",
            figure: "regcred converge and rotation: RSS at most [MiB]",
            colour: "#1f6feb",
        },
        Line { name: "regcred: idle", figure: "regcred idle: RSS [MiB]", colour: "#1a7f37" },
    ];
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1000 420\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"1000\" height=\"420\" fill=\"white\"/>\n",
    );
    let per_namespace = |report: &Report, figure: &str| Some(report.get(figure)? * 1000.0 / report.namespaces as f64);
    panel(&mut svg, 0.0, "time for each namespace [ms]", &reports, &time, per_namespace);
    panel(&mut svg, 500.0, "resident memory [MiB]", &reports, &memory, Report::get);
    svg.push_str("</svg>\n");
    std::fs::write(out, svg).unwrap_or_else(|error| panic!("{}: {error}", out.display()));
}

fn panel(
    svg: &mut String,
    left: f64,
    title: &str,
    reports: &[Report],
    lines: &[Line],
    value: impl Fn(&Report, &str) -> Option<f64>,
) {
    let values = |line: &Line| -> Vec<(f64, f64)> {
        let point = |report: &Report| Some((report.namespaces as f64, value(report, line.figure)?));
        reports.iter().filter_map(point).collect()
    };
    let most = lines.iter().flat_map(&values).map(|(_, y)| y).fold(0.1, f64::max) * 1.1;
    let (low, high) = match (reports.first(), reports.last()) {
        (Some(first), Some(last)) => ((first.namespaces as f64).log10(), (last.namespaces as f64).log10().max(0.1)),
        _ => (0.0, 1.0),
    };
    let x = |n: f64| left + 60.0 + (n.log10() - low) / (high - low).max(0.1) * 400.0;
    let y = |v: f64| 330.0 - v / most * 280.0;
    let _ = writeln!(svg, "<text x=\"{}\" y=\"30\" font-weight=\"bold\">{title}</text>", left + 60.0);
    for step in 0..=4 {
        let v = most * f64::from(step) / 4.0;
        let at = y(v);
        let (from, to) = (left + 60.0, left + 460.0);
        let _ = writeln!(svg, "<path d=\"M{from} {at:.1}H{to}\" stroke=\"#dddddd\"/>");
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{v:.1}</text>", from - 6.0, at + 4.0);
    }
    for report in reports {
        let at = x(report.namespaces as f64);
        let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"350\" text-anchor=\"middle\">{}</text>", report.namespaces);
    }
    for (index, line) in lines.iter().enumerate() {
        let points: Vec<String> = values(line).iter().map(|(n, v)| format!("{:.1},{:.1}", x(*n), y(*v))).collect();
        let (points, colour) = (points.join(" "), line.colour);
        let _ = writeln!(svg, "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>");
        let (at, down) = (left + 60.0 + (index % 2) as f64 * 210.0, 372.0 + (index / 2) as f64 * 18.0);
        let _ = writeln!(svg, "<text x=\"{at}\" y=\"{down}\" fill=\"{colour}\">{}</text>", line.name);
    }
}
