//! Tests of measure.

use super::*;

const VOXEL: [f64; 3] = [0.04, 0.03, 0.02];

fn input<'a>(labels: &'a Array3<u16>, classes: &'a ClassTable) -> MeasureInput<'a> {
    MeasureInput {
        labels: labels.view(),
        voxel_um: Some([0.02; 3]),
        ratios: None,
        origin_um: [0.0; 3],
        volume: None,
        classes,
        objects: None,
    }
}

fn run(input: &MeasureInput<'_>, params: &MeasureParams) -> Table {
    measure(&Progress::new(), input, params).unwrap()
}

/// A ball of class `id` in voxels.
fn ball(labels: &mut Array3<u16>, center: [f64; 3], r: f64, id: u16) {
    for ((z, y, x), label) in labels.indexed_iter_mut() {
        let p = [z as f64, y as f64, x as f64];
        if (0..3).map(|a| (p[a] - center[a]).powi(2)).sum::<f64>() < r * r {
            *label = id;
        }
    }
}

#[test]
fn columns_begin_as_promised() {
    let labels = Array3::zeros((2, 2, 2));
    let classes = ClassTable::from_names(["nucleus"]);
    let csv = run(&input(&labels, &classes), &MeasureParams::default()).to_csv();
    let promised = "class,name,object,voxels,volume_um3,surface_um2,sphericity,lac_mean_per_um,lac_sd_per_um,\
                    centroid_x_um,centroid_y_um,centroid_z_um,";
    assert!(csv.starts_with(promised), "{csv}");
    assert!(csv.lines().nth(1).unwrap().starts_with("1,nucleus,0,0,0,0,,,,,,,0,"), "{csv}");
}

#[test]
fn a_sphere_has_its_volume_surface_sphericity_and_place() {
    let mut labels = Array3::zeros((50, 52, 54));
    let r = 17.3;
    ball(&mut labels, [24.0, 25.0, 26.0], r, 3);
    let classes = ClassTable::default();
    let place = MeasureInput { origin_um: [3.0, 2.0, 1.0], ..input(&labels, &classes) };
    let table = run(&place, &MeasureParams::default());
    let number = |name| table.number(0, name).unwrap();
    let r = r * 0.02;
    assert!((number("volume_um3") / (4.0 / 3.0 * PI * r.powi(3)) - 1.0).abs() < 0.01);
    assert!((number("surface_um2") / (4.0 * PI * r * r) - 1.0).abs() < 0.02);
    assert!((number("sphericity") - 1.0).abs() < 0.02, "{}", number("sphericity"));
    for (name, want) in [("centroid_x_um", 1.52), ("centroid_y_um", 2.5), ("centroid_z_um", 3.48)] {
        assert!((number(name) - want).abs() < 1e-9, "{name} {}", number(name));
    }
    assert_eq!(table.get(0, "name"), Some(&Cell::Text("class 3".to_owned())));
    assert_eq!(number("touches_border"), 0.0);
    assert!((number("equivalent_diameter_um") / (2.0 * r) - 1.0).abs() < 0.005);
}

#[test]
fn objects_are_counted_apart_and_add_up_to_their_class() {
    let mut labels = Array3::zeros((30, 30, 60));
    ball(&mut labels, [15.0, 15.0, 10.0], 6.0, 2);
    ball(&mut labels, [15.0, 15.0, 40.0], 9.0, 2);
    ball(&mut labels, [15.0, 15.0, 40.0], 4.0, 1);
    labels[[29, 29, 59]] = 2;
    let classes = ClassTable::from_names(["a", "b"]);
    let whole = run(&input(&labels, &classes), &MeasureParams::default());
    let params = MeasureParams { instances: true, ..MeasureParams::default() };
    let each = run(&input(&labels, &classes), &params);
    let column = |table: &Table, name: &str| -> Vec<f64> {
        (0..table.rows.len()).map(|row| table.number(row, name).unwrap()).collect()
    };
    assert_eq!(column(&whole, "n_objects"), [1.0, 3.0]);
    assert_eq!(column(&each, "class"), [1.0, 2.0, 2.0, 2.0]);
    // Numbers in scan order over the whole volume: the larger ball begins in an earlier slice.
    assert_eq!(column(&each, "object"), [3.0, 1.0, 2.0, 4.0]);
    assert_eq!(column(&each, "touches_border"), [0.0, 0.0, 0.0, 1.0]);
    for name in ["voxels", "volume_um3", "surface_um2", "fraction_of_labelled"] {
        let (whole, each) = (column(&whole, name), column(&each, name));
        assert!((whole[1] - each[1..].iter().sum::<f64>()).abs() < 1e-9, "{name}");
    }
    let few = run(&input(&labels, &classes), &MeasureParams { min_voxels: 2, ..params });
    assert_eq!(few.rows.len(), 3);
    assert!(few.notes.iter().any(|note| note.contains("1 objects")), "{:?}", few.notes);
}

#[test]
fn lac_is_the_mean_and_sd_of_finite_values() {
    let labels = Array3::from_shape_fn((20, 3, 4), |(_, _, x)| u16::from(x > 0));
    // A large offset would ruin sums of squares.
    let data = Array3::from_shape_fn((20, 3, 4), |(z, _, x)| match x {
        1 => f32::NAN,
        _ => 4096.0 + (z % 2) as f32,
    });
    let volume = Volume::new(data, None, Unit::Arbitrary);
    let classes = ClassTable::default();
    let with = MeasureInput { volume: Some(&volume), voxel_um: None, ..input(&labels, &classes) };
    let table = run(&with, &MeasureParams::default());
    // Sums of f64 over 60 voxels.
    assert!((table.number(0, "lac_mean_per_um").unwrap() - 4096.5).abs() < 1e-9);
    assert!((table.number(0, "lac_sd_per_um").unwrap() - 0.5).abs() < 1e-9);
    assert_eq!(table.number(0, "lac_max_per_um"), Some(4097.0));
    assert_eq!(table.number(0, "volume_um3"), Some(180.0));
    for word in ["voxel size is unknown", "arbitrary", "60 labelled voxels"] {
        assert!(table.notes.iter().any(|note| note.contains(word)), "{word}: {:?}", table.notes);
    }
}

#[test]
fn parallel_plates_have_the_contact_area_of_the_plate_at_any_slant() {
    let classes = ClassTable::from_names(["left", "right"]);
    let params = MeasureParams { contacts: true, ..MeasureParams::default() };
    for slope in [0.0, 0.35, 1.0] {
        let labels = Array3::from_shape_fn((60, 60, 60), |(z, _, x)| {
            let x = x as f64 - 30.0 - slope * (z as f64 - 29.5);
            // A gap of unlabelled voxels lies to the right of the second plate.
            if x < 0.0 {
                1
            } else if x < 12.0 {
                2
            } else {
                0
            }
        });
        let table = run(&input(&labels, &classes), &params);
        // The plate runs through the volume along z as long as it stays inside along x.
        let height = 60.0 * 0.02;
        let exact = height * height * (1.0f64 + slope * slope).sqrt();
        for (row, name) in [(0, "contact_2_right_um2"), (1, "contact_1_left_um2")] {
            let contact = table.number(row, name).unwrap();
            // The rim of the plate is rounded off by the smoothing, the more the steeper it meets the border.
            assert!((contact / exact - 1.0).abs() < 0.04, "slope {slope}: {contact} of {exact}");
        }
        assert_eq!(table.get(0, "contact_1_left_um2"), Some(&Cell::Empty));
        let sum: f64 = ["contact_0_unlabelled_um2", "contact_1_left_um2"]
            .iter()
            .map(|name| table.number(1, name).unwrap())
            .sum();
        assert!((sum / table.number(1, "surface_um2").unwrap() - 1.0).abs() < 1e-9);
    }
}

#[test]
fn distances_honour_the_shape_of_voxels() {
    let mut labels = Array3::zeros((20, 20, 20));
    labels[[2, 3, 4]] = 1;
    labels[[12, 3, 4]] = 2;
    labels[[2, 13, 4]] = 2;
    labels[[2, 3, 19]] = 3;
    let classes = ClassTable::from_names(["a", "b", "c", "absent"]);
    let place = MeasureInput { voxel_um: Some(VOXEL), ..input(&labels, &classes) };
    let table = run(&place, &MeasureParams { distances: true, ..MeasureParams::default() });
    let near = |row, name, want: f64| {
        let got = table.number(row, name).unwrap();
        assert!((got - want).abs() < 1e-6, "{name}: {got} instead of {want}");
    };
    near(0, "distance_2_b_um", 0.3);
    near(1, "distance_1_a_um", 0.3);
    near(0, "distance_3_c_um", 0.3);
    assert_eq!(table.get(0, "distance_4_absent_um"), Some(&Cell::Empty));
    assert_eq!(table.get(0, "distance_1_a_um"), Some(&Cell::Empty));
    assert_eq!(table.number(3, "voxels"), Some(0.0));
}

#[test]
fn wrong_shapes_sizes_and_cancel_are_refused() {
    let labels = Array3::from_elem((3, 3, 3), 1);
    let classes = ClassTable::default();
    let volume = Volume::new(Array3::zeros((3, 3, 4)), None, Unit::PerUm);
    let base = input(&labels, &classes);
    let go = |input: &MeasureInput<'_>| measure(&Progress::new(), input, &MeasureParams::default());
    assert!(matches!(go(&MeasureInput { volume: Some(&volume), ..base }), Err(MeasureError::Shape { .. })));
    let flat = MeasureInput { voxel_um: Some([0.1, 0.0, 0.1]), ..base };
    assert!(matches!(go(&flat), Err(MeasureError::VoxelSize { .. })));
    let progress = Progress::new();
    progress.cancel();
    assert_eq!(measure(&progress, &base, &MeasureParams::default()), Err(MeasureError::Cancelled(Cancelled)));
    let none = Array3::zeros((0, 3, 3));
    assert!(run(&input(&none, &classes), &MeasureParams::default()).rows.is_empty());
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let labels = Array3::from_shape_fn((40, 20, 30), |(z, y, x)| ((z * 7 + y * 3 + x) / 11 % 4) as u16);
    let data = labels.mapv(|id| f32::from(id) * 0.1 + 0.03);
    let volume = Volume::new(data, None, Unit::PerUm);
    let classes = ClassTable::default();
    let with = MeasureInput { volume: Some(&volume), ..input(&labels, &classes) };
    let params = MeasureParams { instances: true, contacts: true, distances: true, min_voxels: 1 };
    let on = |n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| run(&with, &params))
    };
    assert_eq!(on(1), on(4));
}

#[test]
fn a_ball_of_flat_voxels_is_a_ball_by_the_ratios_of_their_edges() {
    let mut labels = Array3::<u16>::zeros((13, 61, 61));
    for ((z, y, x), label) in labels.indexed_iter_mut() {
        let p = [5.0 * (z as f64 - 6.0), y as f64 - 30.0, x as f64 - 30.0];
        *label = u16::from(p.iter().map(|v| v * v).sum::<f64>() < 400.0);
    }
    let classes = ClassTable::from_names(["cell"]);
    let sphericity = |ratios| {
        let input = MeasureInput { voxel_um: None, ratios, ..input(&labels, &classes) };
        let table = run(&input, &MeasureParams::default());
        let column = table.columns.iter().position(|column| column.name == "sphericity").unwrap();
        match &table.rows[0][column] {
            Cell::Number(value) => *value,
            other => panic!("{other:?}"),
        }
    };
    // A sphere has 1; of nine planes it is cut roughly, and as cubes it would be a disc.
    assert!(sphericity(Some([5.0, 1.0, 1.0])) > 0.9, "{}", sphericity(Some([5.0, 1.0, 1.0])));
    assert!(sphericity(None) < 0.7, "{}", sphericity(None));
}
