//! Where rays and voxels meet, in the words of the shaders.

use crate::kernels::projector::{Footprint, ParallelGeometry};

/// Coordinates are cut at this fraction of a pixel: below 8192 their sums are exact in single precision.
const GRAIN: f64 = 2048.0;

/// `base + i · one + j · line`, each cut in an exact part and the rest. Keep in sync with `Way` of the shaders.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Way {
    base: f32,
    one: f32,
    line: f32,
    peak: f32,
    base_rest: f32,
    one_rest: f32,
    line_rest: f32,
    /// 1 where rays step along z.
    along_z: f32,
}

impl Way {
    fn new([base, one, line]: [f64; 3], peak: f64, along_z: bool) -> Self {
        let cut = |value: f64| {
            let exact = (value * GRAIN).round() / GRAIN;
            (exact as f32, (value - exact) as f32)
        };
        let along_z = f32::from(u8::from(along_z));
        let ((base, base_rest), (one, one_rest), (line, line_rest)) = (cut(base), cut(one), cut(line));
        Self { base, one, line, peak: peak as f32, base_rest, one_rest, line_rest, along_z }
    }
}

/// One view as the shaders see it. Keep in sync with `View` of the shaders.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct CardView {
    seen: Way,
    ray: Way,
}

/// The views of a geometry; `footprint` is how voxels see them.
pub(super) fn card_views(geometry: &ParallelGeometry, footprint: Footprint) -> Vec<CardView> {
    let centre = |n: usize| (n as f64 - 1.0) / 2.0;
    let (c_u, c_z, c_x) = (centre(geometry.n_cols), centre(geometry.depth), centre(geometry.width));
    let view = |(angle, shift): (&f64, &f64)| {
        let (sin, cos) = angle.to_radians().sin_cos();
        let along_z = cos.abs() >= sin.abs();
        let per_column = if along_z { 1.0 / cos } else { -1.0 / sin };
        let peak = if footprint == Footprint::Matched { per_column.abs() } else { 1.0 };
        let middle = c_u + shift;
        let crossing = if along_z {
            [c_x - (middle + c_z * sin) * per_column, per_column, sin * per_column]
        } else {
            [c_z - (middle - c_x * cos) * per_column, per_column, -cos * per_column]
        };
        CardView {
            seen: Way::new([middle - c_x * cos + c_z * sin, cos, -sin], peak, along_z),
            ray: Way::new(crossing, per_column.abs(), along_z),
        }
    };
    geometry.angles_deg.iter().zip(&geometry.shift_x_px).map(view).collect()
}

/// What one dispatch is told. Keep in sync with `Params` of the shaders.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct Params {
    pub(super) first_tile: u32,
    pub(super) tiles_across: u32,
    pub(super) first_view: u32,
    pub(super) n_views: u32,
    pub(super) deep: u32,
    pub(super) wide: u32,
    pub(super) n_cols: u32,
    pub(super) section_stride: u32,
    pub(super) section_plane: u32,
    pub(super) section_first: u32,
    pub(super) sino_stride: u32,
    pub(super) sino_plane: u32,
    pub(super) weights_at: u32,
    pub(super) scalar: f32,
    pub(super) pad: [u32; 2],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_shaders_read_has_the_size_they_expect() {
        assert_eq!((size_of::<Params>(), size_of::<CardView>()), (64, 64));
    }
}
