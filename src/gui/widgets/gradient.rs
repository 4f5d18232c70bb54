//! A strip of colour from a list of stops: colour bars of maps and transfer functions.

use egui::{Color32, Mesh, Rect, Shape, Ui};

/// Fills `rect` with the colours `at(0.0)` to `at(1.0)` from left to right.
pub(crate) fn strip(ui: &Ui, rect: Rect, at: impl Fn(f32) -> Color32) {
    const STEPS: u32 = 48;
    let mut mesh = Mesh::default();
    for i in 0..=STEPS {
        let f = i as f32 / STEPS as f32;
        let x = egui::lerp(rect.left()..=rect.right(), f);
        mesh.colored_vertex(egui::pos2(x, rect.top()), at(f));
        mesh.colored_vertex(egui::pos2(x, rect.bottom()), at(f));
        if i > 0 {
            let k = 2 * i;
            mesh.add_triangle(k - 2, k - 1, k);
            mesh.add_triangle(k - 1, k, k + 1);
        }
    }
    ui.painter().add(Shape::mesh(mesh));
}
