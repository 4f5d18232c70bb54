//! The order of the pictures of a folder: by the tilts in their names, by other numbers with a sign, else in natural order.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use super::fields::{Field, fields};
use super::numbers::{Signs, numbers};

/// Pictures in the order in which they are read.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Ordered {
    pub(super) files: Vec<PathBuf>,
    /// Tilt of each in degrees, as its name has it; empty where the names have none.
    pub(super) angles_deg: Vec<f64>,
    /// What the user has to know.
    pub(super) said: Vec<String>,
}

/// Names that a sentence lists.
const MAX_NAMED: usize = 3;
const MODES: [Signs; 3] = [Signs::Apart, Signs::BehindLetters, Signs::Letters];

/// Orders pictures by the tilts in their names, or in natural order.
pub(super) fn ordered(mut files: Vec<PathBuf>) -> Ordered {
    files.sort_by(|a, b| natural_order(&a.to_string_lossy(), &b.to_string_lossy()));
    let stems: Vec<String> = files.iter().map(|file| stem(file)).collect();
    match tilts(&stems) {
        Tilts::Unclear => Ordered {
            files,
            said: vec![
                "the names of the pictures hold several numbers that may be tilts: the natural order was kept, --angles gives the tilts"
                    .to_owned(),
            ],
            ..Ordered::default()
        },
        Tilts::Found(tilt) => match series(&stems, &tilt) {
            Some(groups) => of_series(&files, groups),
            None => by_tilt(files, &tilt),
        },
        Tilts::None => in_parts(&files, &stems).unwrap_or_else(|| by_rank(files, &stems)),
    }
}

/// Pictures of one series, in the order of their tilts.
fn by_tilt(files: Vec<PathBuf>, tilt: &Field) -> Ordered {
    let mut pairs: Vec<(f64, PathBuf)> = tilt.values().into_iter().zip(files).collect();
    // Stable: pictures of one tilt stay in natural order.
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (angles_deg, files): (Vec<f64>, Vec<PathBuf>) = pairs.into_iter().unzip();
    let (first, last) = (angles_deg[0], angles_deg[angles_deg.len() - 1]);
    let mut said = vec![format!(
        "the pictures are in the order of the tilts in their names, {first}° to {last}°; --angles gives others, in this order"
    )];
    if tilt.has_p() {
        said.push("a p between digits of the names was taken for the decimal point".to_owned());
    }
    let has_fine = angles_deg.iter().any(|angle| (angle * 10.0).fract() != 0.0);
    let are_small = angles_deg.iter().all(|angle| angle.abs() <= std::f64::consts::PI);
    if angles_deg.len() > 2 && has_fine && are_small {
        said.push(
            "the tilts in the names are small: if they are radians, give degrees with --angles".to_owned(),
        );
    }
    let n_repeats = angles_deg.windows(2).filter(|pair| pair[0] == pair[1]).count();
    if n_repeats > 0 {
        said.push(format!(
            "{n_repeats} pictures have the tilt of another one and were kept as views; move what does not belong elsewhere"
        ));
    }
    Ordered { files, angles_deg, said }
}

/// The pictures of several series that lie in one folder: which each is of, with its tilt.
fn series(stems: &[String], tilt: &Field) -> Option<Vec<(String, f64, usize)>> {
    let tilts = tilt.values();
    let front = fields(stems, Signs::Apart);
    let before = front.iter().filter(|field| field.place < tilt.place && field.place.is_some());
    before.filter(|_| tilt.place.is_some()).find_map(|field| {
        let keys = field.values();
        let mut groups: Vec<(String, f64, usize)> =
            (0..stems.len()).map(|i| (keys[i].to_string(), tilts[i], i)).collect();
        groups.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let is_one = |group: &[(String, f64, usize)]| {
            group.len() > 1 && group.windows(2).all(|pair| pair[0].1 < pair[1].1)
        };
        let of_each: Vec<_> = groups.chunk_by(|a, b| a.0 == b.0).collect();
        (of_each.len() > 1 && of_each.iter().all(|group| is_one(group))).then_some(groups)
    })
}

/// One series behind the other, each in the order of its tilts; which is meant the user has to say.
fn of_series(files: &[PathBuf], groups: Vec<(String, f64, usize)>) -> Ordered {
    let firsts: Vec<String> = groups
        .chunk_by(|a, b| a.0 == b.0)
        .map(|group| format!("{} pictures from {}", group.len(), name_of(&files[group[0].2])))
        .collect();
    let said = format!(
        "the names hold {} series of tilts ({}): they were read one behind the other, without angles; move each into a folder of its own",
        firsts.len(),
        firsts.join(", ")
    );
    let mut order: Vec<usize> = groups.into_iter().map(|(_, _, i)| i).collect();
    order.extend((0..files.len()).filter(|i| !order.contains(i)).collect::<Vec<_>>());
    let files = order.into_iter().map(|i| files[i].clone()).collect();
    Ordered { files, said: vec![said], ..Ordered::default() }
}

/// Pictures of which only some have tilts in their names; `None` where none have.
fn in_parts(files: &[PathBuf], stems: &[String]) -> Option<Ordered> {
    let (groups, rest) = MODES.into_iter().find_map(|signs| {
        let (mut groups, mut rest) = (Vec::new(), Vec::new());
        for members in alike(stems, signs) {
            let names: Vec<String> = members.iter().map(|i| stems[*i].clone()).collect();
            match best(&fields(&names, signs)).filter(|_| members.len() > 1) {
                Some(tilt) => groups.push((members, tilt)),
                None => rest.extend(members),
            }
        }
        (!groups.is_empty()).then_some((groups, rest))
    })?;
    if let [(members, tilt)] = groups.as_slice() {
        let odd: Vec<String> = rest.iter().map(|i| name_of(&files[*i])).collect();
        let (n, n_all) = (members.len(), files.len());
        let names = odd.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
        let more = if odd.len() > MAX_NAMED { " …" } else { "" };
        if n > 2 && 2 * n > n_all {
            let mut ordered = by_tilt(members.iter().map(|i| files[*i].clone()).collect(), tilt);
            ordered.said.push(format!(
                "{n} of {n_all} pictures have a tilt in their names like each other; the others ({names}{more}) were left out, move them elsewhere or name them alike"
            ));
            return Some(ordered);
        }
        let said = format!(
            "{n} of {n_all} pictures have a tilt in their names, the others ({names}{more}) have none like it: the natural order was kept, move apart what does not belong together"
        );
        return Some(Ordered { files: files.to_vec(), said: vec![said], ..Ordered::default() });
    }
    let of_group = |(at, (members, tilt)): (usize, &(Vec<usize>, Field))| {
        let key = format!("{at:06}");
        let tilts = tilt.values();
        let mut pictures: Vec<_> =
            members.iter().zip(tilts).map(|(i, tilt)| (key.clone(), tilt, *i)).collect();
        pictures.sort_by(|a, b| a.1.total_cmp(&b.1));
        pictures
    };
    Some(of_series(files, groups.iter().enumerate().flat_map(of_group).collect()))
}

/// Groups of names that differ in their numbers only, in natural order.
fn alike(stems: &[String], signs: Signs) -> Vec<Vec<usize>> {
    let mut groups: Vec<(Vec<String>, Vec<usize>)> = Vec::new();
    for (i, stem) in stems.iter().enumerate() {
        let text: Vec<String> = numbers(stem, signs).into_iter().map(|number| number.before).collect();
        match groups.iter_mut().find(|(known, _)| *known == text) {
            Some((_, members)) => members.push(i),
            None => groups.push((text, vec![i])),
        }
    }
    groups.into_iter().map(|(_, members)| members).collect()
}

/// Pictures whose names hold one number with a sign or decimals that is no tilt, in its order; else in natural order.
fn by_rank(files: Vec<PathBuf>, stems: &[String]) -> Ordered {
    let found = MODES.into_iter().find_map(|signs| {
        let mut values: Vec<Vec<f64>> =
            fields(stems, signs).iter().filter(|field| field.is_ranked()).map(Field::values).collect();
        values.dedup();
        (!values.is_empty()).then_some(values)
    });
    let values = match found.as_deref() {
        None => return Ordered { files, ..Ordered::default() },
        Some([values]) => values.clone(),
        Some(_) => {
            let said = "the names of the pictures hold several numbers with signs or decimals: the natural order was kept, in which -1 stands before -2; number them from 0 on where that is wrong";
            return Ordered { files, said: vec![said.to_owned()], ..Ordered::default() };
        }
    };
    let mut pairs: Vec<(f64, PathBuf)> = values.into_iter().zip(files.iter().cloned()).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (low, high) = (pairs[0].0, pairs[pairs.len() - 1].0);
    let sorted: Vec<PathBuf> = pairs.into_iter().map(|(_, file)| file).collect();
    let said = (sorted != files).then(|| {
        format!("the pictures are in the order of the numbers in their names, {low} to {high}; if these are tilts give them with --angles, in this order")
    });
    Ordered { files: sorted, said: said.into_iter().collect(), ..Ordered::default() }
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The name of a file without its last extension.
pub(super) fn stem(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().replace('\u{2212}', "-")
}

/// What names tell of tilts.
enum Tilts {
    None,
    /// More than one number of the names may be the tilt.
    Unclear,
    Found(Field),
}

fn tilts(stems: &[String]) -> Tilts {
    if stems.len() < 2 {
        return Tilts::None;
    }
    for signs in MODES {
        let found = fields(stems, signs);
        if let Some(field) = best(&found) {
            return Tilts::Found(field);
        }
        if found.iter().any(|field| field.likeness() > 0) {
            return Tilts::Unclear;
        }
    }
    Tilts::None
}

/// The field that is most like tilts; `None` where none is, or where several are that differ.
fn best(found: &[Field]) -> Option<Field> {
    let most = found.iter().map(Field::likeness).max().filter(|most| *most > 0)?;
    let alike: Vec<&Field> = found.iter().filter(|field| field.likeness() == most).collect();
    let first = alike.first()?;
    alike.iter().all(|field| field.values() == first.values()).then(|| (*first).clone())
}

/// Order of names in which `view_2` comes before `view_10`.
pub(in crate::io) fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    let split = |s: &[u8]| s.iter().take_while(|c| c.is_ascii_digit()).count();
    while let (Some(first), Some(second)) = (a.first(), b.first()) {
        let (n, m) = (split(a), split(b));
        let order = if n > 0 && m > 0 {
            let number =
                |digits: &[u8]| -> Vec<u8> { digits.iter().copied().skip_while(|c| *c == b'0').collect() };
            let (p, q) = (number(&a[..n]), number(&b[..m]));
            (a, b) = (&a[n..], &b[m..]);
            p.len().cmp(&q.len()).then(p.cmp(&q)).then(n.cmp(&m))
        } else {
            let order = first.cmp(second);
            (a, b) = (&a[1..], &b[1..]);
            order
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn angles(names: &[&str]) -> Vec<f64> {
        ordered(names.iter().map(PathBuf::from).collect()).angles_deg
    }

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names = ["v_10.tif", "v_2.tif", "v_002.tif", "v_1.tif", "u_11.tif", "v_.tif"];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(names, ["u_11.tif", "v_.tif", "v_1.tif", "v_2.tif", "v_002.tif", "v_10.tif"]);
    }

    #[test]
    fn tilts_in_names_are_found_in_every_way_of_writing() {
        for names in [
            ["tomo_-20deg.tif", "tomo_0deg.tif", "tomo_5deg.tif"],
            ["tomo_-020.0.tif", "tomo_+000.0.tif", "tomo_+005.0.tif"],
            ["tomo-20.tif", "tomo0.tif", "tomo5.tif"],
            ["s_m20.tif", "s_p00.tif", "s_p05.tif"],
            ["-20.tif", "0.tif", "5.tif"],
            ["a 001 tilt=-20 .png", "a 002 tilt=0 .png", "a 003 tilt=5 .png"],
            [
                "TS_01_000_-20.0_Oct08_07.46.46.tif",
                "TS_01_001_0.0_Oct08_07.47.46.tif",
                "TS_01_002_5.0_Oct08_08.46.46.tif",
            ],
            ["x_\u{2212}20°.tif", "x_0°.tif", "x_5°.tif"],
            ["s_minus20.tif", "s_plus0.tif", "s_plus5.tif"],
            ["s_Minus_20.tif", "s_0.tif", "s_5.tif"],
            ["neg20.tif", "pos0.tif", "pos5.tif"],
            ["tilt_m20.tif", "tilt_0.tif", "tilt_5.tif"],
            ["a_-20,0.tif", "a_0,0.tif", "a_5,0.tif"],
        ] {
            assert_eq!(angles(&names), [-20.0, 0.0, 5.0], "{names:?}");
        }
        assert_eq!(angles(&["p_179.50.tif", "p_0.00.tif", "p_0.50.tif"]), [0.0, 0.5, 179.5]);
        assert_eq!(angles(&["theta0.tif", "theta2.tif", "theta4.tif"]), [0.0, 2.0, 4.0]);
    }

    #[test]
    fn counters_times_energies_and_single_numbers_are_no_tilts() {
        for names in [
            ["0001.tif", "0002.tif", "0003.tif"],
            ["view_12.tif", "view_13.tif", "view_9.tif"],
            ["view-001.tif", "view-002.tif", "view-003.tif"],
            ["tilt_001.tif", "tilt_002.tif", "tilt_003.tif"],
            ["a_520.0eV.tif", "a_520.5eV.tif", "a_521.0eV.tif"],
            ["a_Oct08_07.46.46.tif", "a_Oct08_07.47.46.tif", "a_Oct08_07.48.46.tif"],
            ["2024-05-01.tif", "2024-05-02.tif", "2024-05-03.tif"],
            ["energy_12.5.tif", "energy_13.5.tif", "energy_14.5.tif"],
            ["a_-500.tif", "a_0.tif", "a_500.tif"],
        ] {
            assert_eq!(angles(&names), [0.0; 0], "{names:?}");
        }
        let unclear = ordered(["a_-1_-5.tif", "a_0_-6.tif", "a_1_-7.tif"].map(PathBuf::from).to_vec());
        assert!(unclear.angles_deg.is_empty() && unclear.said[0].contains("several numbers"));
    }

    fn names(ordered: &Ordered) -> Vec<String> {
        ordered.files.iter().map(|file| stem(file)).collect()
    }

    fn of(names: &[&str]) -> Ordered {
        ordered(names.iter().map(PathBuf::from).collect())
    }

    #[test]
    fn points_may_be_commas_or_the_letter_p() {
        assert_eq!(angles(&["a_-20,5deg.tif", "a_0,5deg.tif"]), [-20.5, 0.5]);
        let found = of(&["tilt_-20p5.tif", "tilt_0p5.tif", "tilt_20p5.tif"]);
        assert_eq!(found.angles_deg, [-20.5, 0.5, 20.5]);
        assert!(found.said[1].contains("decimal point"), "{:?}", found.said);
        let small = of(&["t_-1.047.tif", "t_0.000.tif", "t_1.047.tif"]);
        assert!(small.said[1].contains("radians"), "{:?}", small.said);
    }

    #[test]
    fn a_picture_without_a_tilt_is_left_out_and_named() {
        let found = of(&["t_-20deg.tif", "t_-40deg.tif", "t_0deg.tif", "t_20deg.tif", "overview.tif"]);
        assert_eq!(found.angles_deg, [-40.0, -20.0, 0.0, 20.0]);
        assert_eq!(names(&found), ["t_-40deg", "t_-20deg", "t_0deg", "t_20deg"]);
        assert!(found.said[1].contains("4 of 5 pictures") && found.said[1].contains("overview.tif"));
        // The same tilt again belongs to the series.
        let found = of(&["t_-20deg.tif", "t_0deg.tif", "t_0deg_after.tif", "t_20deg.tif"]);
        assert_eq!(found.angles_deg, [-20.0, 0.0, 0.0, 20.0]);
        assert!(found.said[1].contains("1 pictures have the tilt of another"), "{:?}", found.said);
        // Where most have none nothing is left out.
        let found = of(&["a_-20deg.tif", "a_0deg.tif", "b.tif", "c.tif", "d.tif"]);
        assert_eq!((found.files.len(), found.angles_deg.len()), (5, 0));
        assert!(found.said[0].contains("2 of 5 pictures"), "{:?}", found.said);
    }

    #[test]
    fn two_series_in_one_folder_are_said_and_have_no_angles() {
        for pattern in ["a_#deg b_#deg", "cell1_#deg cell2_#deg", "s_1_#.0 s_2_#.0"] {
            let (first, second) = pattern.split_once(' ').unwrap();
            let all: Vec<String> = ["-20", "-40", "0", "20"]
                .iter()
                .flat_map(|tilt| [first, second].map(|name| format!("{}.tif", name.replace('#', tilt))))
                .collect();
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            let found = of(&all);
            assert!(found.angles_deg.is_empty(), "{pattern}");
            assert!(found.said[0].contains("2 series of tilts"), "{pattern}: {:?}", found.said);
            let wanted: Vec<String> = [first, second]
                .iter()
                .flat_map(|name| ["-40", "-20", "0", "20"].map(|tilt| name.replace('#', tilt)))
                .collect();
            assert_eq!(names(&found), wanted, "{pattern}");
        }
        // Counters are no series.
        let counted = of(&["s_000_0deg.tif", "s_001_20deg.tif", "s_002_-20deg.tif", "s_003_0deg.tif"]);
        assert_eq!(counted.angles_deg, [-20.0, 0.0, 0.0, 20.0]);
    }

    #[test]
    fn signed_numbers_that_are_no_tilts_order_the_pictures() {
        for (list, low) in [
            (["x_-60.tif", "x_-20.tif", "x_0.tif", "x_40.tif"], "-60 to 40"),
            (["slice_z-3.tif", "slice_z-2.tif", "slice_z0.tif", "slice_z1.tif"], "-3 to 1"),
            (["y_m3.tif", "y_m2.tif", "y_p0.tif", "y_p1.tif"], "-3 to 1"),
            (["a_-500um.tif", "a_-20um.tif", "a_0um.tif", "a_20um.tif"], "-500 to 20"),
        ] {
            let found = of(&list);
            assert_eq!(names(&found), list.map(|name| name.replace(".tif", "")), "{list:?}");
            assert!(found.angles_deg.is_empty() && found.said[0].contains(low), "{:?}", found.said);
        }
        let energies = of(&["e_520.5eV.tif", "e_520.25eV.tif", "e_521eV.tif"]);
        assert_eq!(names(&energies), ["e_520.25eV", "e_520.5eV", "e_521eV"]);
        assert_eq!(of(&["e_1eV.tif", "e_2eV.tif"]).said, Vec::<String>::new());
    }
}
