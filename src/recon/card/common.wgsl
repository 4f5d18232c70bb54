// What forward.wgsl and back.wgsl both begin with. Keep in sync with `Params` and `CardView` of place.rs.

struct Params {
    // First tile of this dispatch; tiles in a line of tiles
    first_tile: u32,
    tiles_across: u32,
    first_view: u32,
    n_views: u32,
    deep: u32,
    wide: u32,
    n_cols: u32,
    // In groups: distance of lines, distance of planes (0 where there is one plane), place of voxel (0, 0)
    section_stride: u32,
    section_plane: u32,
    section_first: u32,
    sino_stride: u32,
    sino_plane: u32,
    weights_at: u32,
    scalar: f32,
    pad0: u32,
    pad1: u32,
}

// position = base + i * one + j * line, each as a multiple of 2^-11, whose sums are exact, and the rest.
struct Way {
    // base, one, line, peak of the hat
    exact: vec4<f32>,
    // What the first three leave over; 1 where rays step along z, 0 where along x
    rest: vec4<f32>,
}

struct View {
    // Column of a voxel: i is x, j is z
    seen: Way,
    // Crossing of a ray with a line: i is the column, j the step
    ray: Way,
}

@group(0) @binding(0) var<storage, read> params: Params;
@group(0) @binding(1) var<storage, read> views: array<View>;

const MARGIN: u32 = 2u;

struct Sums {
    a: vec4<f32>,
    b: vec4<f32>,
}

