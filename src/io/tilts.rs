//! The tilts of a stack, from whichever of its companions has them, and whether those agree.
//!
//! In this order: NAME.rawtlt, NAME.tlt, the .mdoc, the file itself (extended header, names of pictures).

use std::path::{Path, PathBuf};

use super::angles::{AngleSource, read_angles};
use super::beside;
use super::error::IoError;
use super::format::Header;
use super::mdoc;

/// Extensions of angle files, the nominal angles first: a .tlt belongs to an aligned stack.
const ANGLE_EXTENSIONS: [&str; 2] = ["rawtlt", "tlt"];
/// Tilts in degrees that differ by no more were rounded.
const ROUNDING_DEG: f64 = 0.051;

/// The stack whose tilts are asked for.
pub(crate) struct Stack<'a> {
    /// Its file or folder.
    pub(crate) path: &'a Path,
    /// Views that it has.
    pub(crate) n_views: usize,
    /// Views that it promises beyond those.
    pub(crate) n_missing: usize,
    /// Tilts that it says itself; empty where it says none.
    pub(crate) own_deg: &'a [f64],
    /// Whether its views were turned around: what lies beside it counts from the last one.
    pub(crate) is_reversed: bool,
}

impl<'a> Stack<'a> {
    /// The stack of a file with this header.
    pub(crate) fn of(path: &'a Path, header: &'a Header) -> Self {
        Self {
            path,
            n_views: header.shape[0],
            n_missing: header.missing_planes,
            own_deg: &header.angles_deg,
            is_reversed: header.is_reversed,
        }
    }
}

/// The angle files beside a stack, or within a folder of pictures.
fn angle_files(path: &Path) -> Vec<PathBuf> {
    let within = |extension: &str| {
        let mut found: Vec<PathBuf> = std::fs::read_dir(path)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|file| {
                file.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension)) && file.is_file()
            })
            .collect();
        // Of several nobody knows which is meant.
        if found.len() == 1 { found.pop() } else { None }
    };
    let of = |extension: &&str| {
        beside::with_extension(path, &[*extension])
            .or_else(|| if path.is_dir() { within(extension) } else { None })
    };
    ANGLE_EXTENSIONS.iter().filter_map(of).collect()
}

/// Chooses the tilts of a stack; says where others disagree with them by more than rounding.
///
/// # Errors
/// [`IoError`] where the first angle file is damaged or has another number of angles.
pub(crate) fn choose(stack: &Stack<'_>, warnings: &mut Vec<String>) -> Result<Option<Vec<f64>>, IoError> {
    let mut found: Vec<(String, Vec<f64>)> = Vec::new();
    for (i, file) in angle_files(stack.path).iter().enumerate() {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match of_file(file, stack, warnings) {
            Ok(angles) => found.push((name, angles)),
            Err(error) if i == 0 => return Err(error),
            Err(error) => warnings.push(format!("{name} was left aside: {error}")),
        }
    }
    // What is wrong with an .mdoc was said when the stack was opened.
    if let Some(Ok(mdoc)) = mdoc::beside(stack.path) {
        match mdoc.tilts(stack.n_views, stack.n_missing) {
            Some(Ok(tilts)) => found.push((mdoc.name(), tilts)),
            Some(Err(said)) => warnings.push(said),
            None => {}
        }
    }
    if stack.is_reversed {
        found.iter_mut().for_each(|(_, angles)| angles.reverse());
    }
    if stack.own_deg.len() == stack.n_views {
        found.push(("the file itself".to_owned(), stack.own_deg.to_vec()));
    }
    let mut found = found.into_iter();
    let Some((name, angles)) = found.next() else { return Ok(None) };
    warnings.extend(found.filter_map(|(other, theirs)| disagreement(&name, &angles, &other, &theirs)));
    Ok(Some(angles))
}

/// The angles of a file; those of views that are still missing are cut off.
fn of_file(file: &Path, stack: &Stack<'_>, warnings: &mut Vec<String>) -> Result<Vec<f64>, IoError> {
    if stack.n_missing > 0 {
        let mut angles = read_angles(file)?;
        if angles.len() == stack.n_views + stack.n_missing {
            angles.truncate(stack.n_views);
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            warnings.push(format!("of the angles of {name} the first {} were used", stack.n_views));
            return Ok(angles);
        }
    }
    AngleSource::File(file.to_owned()).angles(stack.n_views)
}

/// The sentence about two lists that do not agree.
fn disagreement(name: &str, angles: &[f64], other: &str, theirs: &[f64]) -> Option<String> {
    let apart = |view: usize| (angles[view] - theirs[view]).abs();
    let n = angles.len().min(theirs.len());
    let worst = (0..n).max_by(|a, b| apart(*a).total_cmp(&apart(*b)))?;
    (apart(worst) > ROUNDING_DEG).then(|| {
        format!(
            "the tilts of {name} and of {other} differ by up to {:.2}° (view {worst}: {} and {}); those of {name} were used",
            apart(worst),
            angles[worst],
            theirs[worst]
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn chosen(files: &[(&str, &str)], own: &[f64], n_missing: usize) -> (Option<Vec<f64>>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let mut said = Vec::new();
        let path = folder.path().join("a.mrc");
        let stack = Stack { path: &path, n_views: 3, n_missing, own_deg: own, is_reversed: false };
        (choose(&stack, &mut said).unwrap(), said)
    }

    #[test]
    fn the_order_of_sources_holds_and_disagreement_is_said() {
        let mdoc = "[ZValue = 2]\nTiltAngle = 2\n[ZValue = 0]\nTiltAngle = 0\n[ZValue = 1]\nTiltAngle = 1\n";
        let own = [0.01, 1.01, 2.01];
        assert_eq!(chosen(&[], &own, 0), (Some(own.to_vec()), vec![]));
        let (angles, said) = chosen(&[("a.mrc.mdoc", mdoc)], &own, 0);
        assert_eq!((angles.unwrap(), said.len()), (vec![0.0, 1.0, 2.0], 0));
        let (angles, said) = chosen(&[("a.mdoc", mdoc), ("a.tlt", "0 1 2.5")], &own, 0);
        assert_eq!(angles.unwrap(), [0.0, 1.0, 2.5]);
        assert_eq!(said.len(), 2);
        assert!(
            said[0].contains("a.tlt and of a.mdoc differ by up to 0.50° (view 2: 2.5 and 2)"),
            "{said:?}"
        );
        let (angles, said) = chosen(&[("a.rawtlt", "5 6 7"), ("a.tlt", "1 2")], &[], 0);
        assert_eq!(angles.unwrap(), [5.0, 6.0, 7.0]);
        assert!(said[0].contains("a.tlt was left aside"), "{said:?}");
    }

    #[test]
    fn a_growing_stack_takes_the_first_of_its_angles() {
        let (angles, said) = chosen(&[("a.rawtlt", "1 2 3 4 5")], &[], 2);
        assert_eq!(angles.unwrap(), [1.0, 2.0, 3.0]);
        assert!(said[0].contains("the first 3"), "{said:?}");
    }
}
