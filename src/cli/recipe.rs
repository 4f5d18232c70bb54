//! Recipes: `run`.
//!
//! Inputs go to the slots of their kind. Where there are more of a kind than the recipe takes, it is run for each of them;
//! one that fails does not stop the others. Nothing that was named is left aside in silence.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use super::Subcommand;
use super::files::{check_folder, path, path_arg, read_scan_of};
use super::options::UsageError;
use super::output;
use super::segment::{read_ids, read_volume};
use super::shell::Shell;
use crate::io::{self, ScanOptions};
use crate::ops::recipe::{Recipe, Takes};
use crate::ops::{Data, Kind};
use crate::session::write_outcome;

/// The subcommands of this group.
pub(super) fn subcommands() -> Vec<Subcommand> {
    vec![Subcommand { build: command, run }]
}

fn command() -> Command {
    Command::new("run")
        .about("Run the steps of a recipe on scans or volumes")
        .long_about(
            "Run the steps of a recipe on scans or volumes.\n\n\
             Every input goes to the steps that take its kind: scans, volumes, labels, alignments (.json), landmarks (.csv). \
             Where there are more of a kind than the recipe takes, it is run for each of them, with the others of that kind \
             left out; several kinds that are as many go together in their order. Results of several runs begin with the \
             name of their input. A run that fails does not stop the others; the exit code is then 1.",
        )
        .arg(path_arg("recipe", "RECIPE.json: operations with parameters"))
        .arg(
            Arg::new("inputs")
                .value_name("INPUTS")
                .num_args(0..)
                .value_parser(value_parser!(PathBuf))
                .help("What the steps take: scans, volumes, labels …; several of a kind are worked on one after the other"),
        )
        .arg(
            Arg::new("output")
                .short('o')
                .long("output")
                .value_name("DIR")
                .default_value(".")
                .value_parser(value_parser!(PathBuf))
                .help("Folder for the results, named after input (of several), step and output"),
        )
        .after_help("Example:\n  waterwindow run recipe.json monday.h5 tuesday.h5 -o volumes")
}

fn run(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let recipe = Recipe::parse(&io::read_text(path(matches, "recipe")?)?)?;
    let files: Vec<PathBuf> = matches.get_many("inputs").into_iter().flatten().cloned().collect();
    let mut inputs: Vec<Input<'_>> = files.iter().map(|file| Input { file, kind: kind_of(file) }).collect();
    if let ([only], Some(Err(problem))) = (&*files, inputs.first_mut().map(|input| &mut input.kind)) {
        return Err(std::mem::replace(problem, anyhow::anyhow!("{}", only.display())));
    }
    let runs = runs(&recipe, &inputs)?;
    let folder = matches.get_one::<PathBuf>("output").context("--output is missing")?;
    check_folder(folder)?;
    if let [only] = &*runs {
        let outputs = work(shell, &recipe, only, folder, "")?;
        shell.finish(&json!({ "outputs": outputs }));
        return Ok(());
    }
    several(shell, &recipe, &runs, folder)
}

/// Runs the recipe for each input; fails at the end where one failed.
fn several(shell: &Shell, recipe: &Recipe, runs: &[Run<'_>], folder: &Path) -> anyhow::Result<()> {
    let names = names(runs);
    let (mut outputs, mut told, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (run, name)) in runs.iter().zip(&names).enumerate() {
        let input = run.own.display();
        shell.say(&format!("{input} ({} of {})", number + 1, runs.len()));
        match work(shell, recipe, run, folder, &format!("{name}_")) {
            Ok(files) => {
                told.push(
                    json!({ "input": run.own, "result": "done", "files": files.len(), "outputs": files }),
                );
                outputs.extend(files);
            }
            Err(error) => {
                let sentence = output::sentence(&error);
                told.push(json!({ "input": run.own, "result": "failed", "error": sentence }));
                failed.push(format!("{input}: {sentence}"));
            }
        }
    }
    let mut result = json!({ "runs": told });
    if shell.is_json() {
        result["outputs"] = json!(outputs);
    } else {
        result["folder"] = json!(folder);
        for run in result["runs"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            run.remove("outputs");
        }
    }
    shell.finish(&result);
    match &*failed {
        [] => Ok(()),
        failed => {
            anyhow::bail!("{} of {} inputs failed: {}", failed.len(), runs.len(), failed.join("; "))
        }
    }
}

/// A file that was named, and what it holds.
struct Input<'a> {
    file: &'a Path,
    kind: anyhow::Result<Kind>,
}

/// The files of one run of the recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run<'a> {
    /// The file that the run is about.
    own: &'a Path,
    /// All its files with their kinds; one that cannot be told is read all the same, for its error.
    files: Vec<(&'a Path, Option<Kind>)>,
}

/// Deals the inputs out to runs of the recipe.
fn runs<'a>(recipe: &Recipe, inputs: &[Input<'a>]) -> anyhow::Result<Vec<Run<'a>>> {
    let takes = recipe.takes();
    let mut shared: Vec<(&Path, Option<Kind>)> = Vec::new();
    let mut dealt: Vec<Vec<(&Path, Option<Kind>)>> = Vec::new();
    let mut kinds: Vec<Kind> = Vec::new();
    for kind in inputs.iter().filter_map(|input| input.kind.as_ref().ok()) {
        if !kinds.contains(kind) {
            kinds.push(*kind);
        }
    }
    for kind in kinds {
        let own: Vec<&Path> =
            inputs.iter().filter(|i| matches!(i.kind, Ok(k) if k == kind)).map(|input| input.file).collect();
        let known = takes.iter().find(|known| known.kind == kind);
        let (least, most) = known.map_or((0, 0), |known| (known.least.max(1), known.most));
        let one = |file: &&'a Path| vec![(*file, Some(kind))];
        if most > 0 && (own.len() == least || (least > 1 && (least..=most).contains(&own.len()))) {
            shared.extend(own.iter().flat_map(one));
        } else if most > 0 && least == 1 && (dealt.is_empty() || dealt.len() == own.len()) {
            dealt.resize(own.len(), Vec::new());
            dealt.iter_mut().zip(&own).for_each(|(run, file)| run.extend(one(file)));
        } else {
            return Err(UsageError(refusal(&takes, (kind, &own), dealt.len())).into());
        }
    }
    // What cannot be read is a run that fails, beside those of the others.
    let unknown = inputs.iter().filter(|input| input.kind.is_err()).map(|input| vec![(input.file, None)]);
    if dealt.is_empty() && (!shared.is_empty() || inputs.is_empty()) {
        let n_unknown = unknown.clone().count();
        if n_unknown == 0 {
            let own = shared.first().map_or(Path::new(""), |(file, _)| *file);
            return Ok(vec![Run { own, files: shared }]);
        }
        dealt.push(std::mem::take(&mut shared));
    }
    dealt.extend(unknown);
    let run = |files: Vec<(&'a Path, Option<Kind>)>| Run {
        own: files.first().map_or(Path::new(""), |(file, _)| *file),
        files: files.into_iter().chain(shared.iter().copied()).collect(),
    };
    Ok(dealt.into_iter().map(run).collect())
}

/// Why inputs of a kind do not go with the recipe, or with `n_dealt` inputs of another kind.
fn refusal(takes: &[Takes], (kind, own): (Kind, &[&Path]), n_dealt: usize) -> String {
    let (words, n) = (kind.words(), own.len());
    match takes.iter().find(|known| known.kind == kind) {
        None => {
            let wanted: Vec<_> = takes.iter().map(|known| known.kind.words()).collect();
            let wanted = if wanted.is_empty() { "nothing".to_owned() } else { wanted.join(", ") };
            let file = own.first().map_or_else(String::new, |file| file.display().to_string());
            format!("{file} is a {words}, which no step of the recipe takes; it begins with: {wanted}")
        }
        Some(known) if known.least <= 1 => {
            format!("{n} inputs are a {words}, {n_dealt} of another kind: give as many of each, or one")
        }
        Some(Takes { least, most, .. }) => {
            let range = if least == most { least.to_string() } else { format!("{least} to {most}") };
            format!("the recipe takes {range} inputs that are a {words}, here are {n}")
        }
    }
}

/// A name for each run that no other has: of the file, of its folder too where files are called alike.
fn names(runs: &[Run<'_>]) -> Vec<String> {
    let stem = |file: &Path| file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let in_folder = |file: &Path| {
        let folder = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        if folder.is_empty() { stem(file) } else { format!("{folder}_{}", stem(file)) }
    };
    let mut names: Vec<String> = Vec::new();
    for run in runs {
        let is_common = runs.iter().filter(|other| stem(other.own) == stem(run.own)).count() > 1;
        let plain = if is_common { in_folder(run.own) } else { stem(run.own) };
        let mut name = plain.clone();
        let mut number = 2;
        while names.contains(&name) {
            name = format!("{plain}_{number}");
            number += 1;
        }
        names.push(name);
    }
    names
}

/// Runs every step on the files of a run and writes what it gives under `prefix`.
fn work(
    shell: &Shell,
    recipe: &Recipe,
    run: &Run<'_>,
    folder: &Path,
    prefix: &str,
) -> anyhow::Result<Vec<PathBuf>> {
    let start: Vec<Data> =
        run.files.iter().map(|(file, kind)| read_input(shell, file, *kind)).collect::<anyhow::Result<_>>()?;
    let outcomes = shell.run(|context| recipe.run(context, start))?;
    io::create_folder(folder)?;
    let mut written = Vec::new();
    for (number, (op, outcome)) in outcomes.iter().enumerate() {
        outcome.notes.iter().for_each(|note| shell.note(note));
        let stem = format!("{prefix}{:02}_{op}", number + 1);
        let (files, losses) =
            shell.with_progress(|progress| write_outcome(progress, folder, &stem, outcome))?;
        losses.iter().for_each(|loss| shell.note(loss));
        written.extend(files);
    }
    Ok(written)
}

/// What a file holds, by its name and its header.
fn kind_of(file: &Path) -> anyhow::Result<Kind> {
    let has = |ending: &str| file.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending));
    if has("csv") {
        return Ok(Kind::Landmarks);
    }
    if has("json") {
        return Ok(if io::is_model(file) { Kind::Classifier } else { Kind::Alignment });
    }
    Ok(match io::kind_of(file)? {
        io::Kind::Labels => Kind::Labels,
        io::Kind::Scan => Kind::Scan,
        io::Kind::Volume | io::Kind::Image => Kind::Volume,
    })
}

/// Reads a file of a kind; one whose kind could not be told says why.
fn read_input(shell: &Shell, file: &Path, kind: Option<Kind>) -> anyhow::Result<Data> {
    Ok(match kind.map_or_else(|| kind_of(file), Ok)? {
        Kind::Landmarks => Data::Landmarks(Arc::new(io::read_landmarks(file)?)),
        Kind::Alignment => Data::Alignment(Arc::new(io::read_alignment(file)?)),
        Kind::Classifier => Data::Classifier(Arc::new(io::read_model(file)?.0)),
        Kind::Labels => read_ids(shell, file, None)?,
        Kind::Scan => {
            let options = ScanOptions { read: shell.read_options(file), ..ScanOptions::default() };
            Data::Scan(read_scan_of(shell, file, &options)?)
        }
        _ => Data::Volume(read_volume(shell, file)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO_VOLUME: &str =
        r#"{"waterwindow_recipe": 1, "steps": [{"op": "normalize"}, {"op": "reconstruct"}]}"#;
    const MEASURE: &str = r#"{"waterwindow_recipe": 1, "steps": [{"op": "measure"}]}"#;

    /// The files of each run, joined by "+".
    fn dealt(recipe: &str, inputs: &[(&'static str, Option<Kind>)]) -> Result<Vec<String>, String> {
        let recipe = Recipe::parse(recipe).unwrap();
        let kind = |kind: Option<Kind>| kind.ok_or_else(|| anyhow::anyhow!("not a file"));
        let inputs: Vec<_> =
            inputs.iter().map(|(file, k)| Input { file: Path::new(file), kind: kind(*k) }).collect();
        let joined = |run: Run<'_>| {
            run.files.iter().map(|(file, _)| file.display().to_string()).collect::<Vec<_>>().join("+")
        };
        runs(&recipe, &inputs).map(|all| all.into_iter().map(joined).collect()).map_err(|e| e.to_string())
    }

    #[test]
    fn inputs_go_to_runs_by_their_kind() {
        let (scan, volume, labels) = (Some(Kind::Scan), Some(Kind::Volume), Some(Kind::Labels));
        let alignment = Some(Kind::Alignment);
        assert_eq!(dealt(TO_VOLUME, &[("a", scan)]).unwrap(), ["a"]);
        assert_eq!(dealt(TO_VOLUME, &[("a", scan), ("b", scan), ("c", None)]).unwrap(), ["a", "b", "c"]);
        assert_eq!(dealt(TO_VOLUME, &[("a", scan), ("b", scan), ("x", alignment)]).unwrap(), ["a+x", "b+x"]);
        let both = [("a", scan), ("b", scan), ("x", alignment), ("y", alignment)];
        assert_eq!(dealt(TO_VOLUME, &both).unwrap(), ["a+x", "b+y"]);
        assert_eq!(dealt(MEASURE, &[("v", volume), ("l", labels)]).unwrap(), ["v+l"]);
        assert_eq!(dealt(MEASURE, &[("v", volume), ("l", labels), ("w", volume)]).unwrap(), ["v+l", "w+l"]);
        assert_eq!(dealt(TO_VOLUME, &[]).unwrap(), [""]);
    }

    #[test]
    fn what_no_step_takes_is_refused_by_name() {
        let (scan, volume) = (Some(Kind::Scan), Some(Kind::Volume));
        let refused = dealt(TO_VOLUME, &[("a", scan), ("b.mrc", volume)]).unwrap_err();
        assert!(refused.contains("b.mrc is a volume") && refused.contains("scan"), "{refused}");
        let three = [("a", scan), ("b", scan), ("c", scan)];
        let uneven = [&three[..], &[("x", Some(Kind::Alignment)), ("y", Some(Kind::Alignment))][..]].concat();
        assert!(dealt(TO_VOLUME, &uneven).unwrap_err().contains('3'));
        let stitch = r#"{"waterwindow_recipe": 1, "steps": [{"op": "stitch"}]}"#;
        assert_eq!(dealt(stitch, &[("a", volume), ("b", volume), ("c", volume)]).unwrap(), ["a+b+c"]);
        assert!(dealt(stitch, &[("a", volume)]).unwrap_err().contains("2 to 8"));
    }

    #[test]
    fn runs_have_names_of_their_own() {
        let run = |file: &'static str| Run { own: Path::new(file), files: Vec::new() };
        let runs = ["a/scan.h5", "b/scan.h5", "b/scan.mrc", "cell.mrc"].map(run);
        assert_eq!(names(&runs), ["a_scan", "b_scan", "b_scan_2", "cell"]);
    }
}
