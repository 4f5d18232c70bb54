// Back projection gathered at voxels: the footprint of kernels/projector on the processor.
//
// One invocation sums one vector of rows of two planes at one voxel over a range of views; a workgroup is 8 × 8 voxels,
// whose columns lie together in every view. Keep in sync with `Params` and `CardView` of place.rs.

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
@group(0) @binding(2) var<storage, read> sino: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> voxel_weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> section: array<vec4<f32>>;

const MARGIN: u32 = 2u;

struct Sums {
    a: vec4<f32>,
    b: vec4<f32>,
}

fn over_views(z: u32, x: u32, quad: u32, plane: u32) -> Sums {
    var sums = Sums(vec4<f32>(), vec4<f32>());
    let n = i32(params.n_cols);
    let second = i32(params.sino_plane * 4u);
    let i = f32(x);
    let j = f32(z);
    for (var view = params.first_view; view < params.first_view + params.n_views; view++) {
        let way = views[view].seen;
        let place = way.exact.x + i * way.exact.y + j * way.exact.z;
        let whole = floor(place);
        let rest = (place - whole) + (way.rest.x + i * way.rest.y + j * way.rest.z);
        let more = floor(rest);
        let column = i32(whole + more);
        if column < -1 || column >= n {
            continue;
        }
        let t = rest - more;
        let slope = way.exact.w * way.exact.w;
        let near = max(way.exact.w - t * slope, 0.0);
        let far = max(way.exact.w - (1.0 - t) * slope, 0.0);
        let line = i32((plane * params.sino_plane + view * params.sino_stride + MARGIN) * 4u + quad);
        let at = line + column * 4;
        sums.a += near * sino[at] + far * sino[at + 4];
        sums.b += near * sino[at + second] + far * sino[at + second + 4];
    }
    return sums;
}

// Position of an invocation: x, z, vector of rows, first plane.
fn place_of(local: vec3<u32>, group: vec3<u32>) -> vec4<u32> {
    let tile = params.first_tile + group.x;
    let x = tile % params.tiles_across * 8u + local.y;
    let z = tile / params.tiles_across * 8u + local.z;
    return vec4<u32>(x, z, local.x, group.y * 2u);
}

fn in_section(at: vec4<u32>) -> u32 {
    return (at.w * params.section_plane + params.section_first + at.y * params.section_stride + at.x) * 4u + at.z;
}

// The sum over views.
@compute @workgroup_size(4, 8, 8)
fn smear(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let p = place_of(local, group);
    if p.x >= params.wide || p.y >= params.deep {
        return;
    }
    let sums = over_views(p.y, p.x, p.z, p.w);
    let at = in_section(p);
    section[at] = sums.a;
    section[at + params.section_plane * 4u] = sums.b;
}

// A step of SIRT: what no view sees, and what the mask leaves out, stays as it is.
@compute @workgroup_size(4, 8, 8)
fn correct(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let p = place_of(local, group);
    if p.x >= params.wide || p.y >= params.deep {
        return;
    }
    let weight = voxel_weights[params.weights_at + p.y * params.wide + p.x];
    if weight <= 0.0 {
        return;
    }
    let sums = over_views(p.y, p.x, p.z, p.w);
    let at = in_section(p);
    let other = at + params.section_plane * 4u;
    // Both are read before either is written: where there is one plane only, they are the same.
    let a = max(section[at] + weight * sums.a, vec4<f32>(params.scalar));
    let b = max(section[other] + weight * sums.b, vec4<f32>(params.scalar));
    section[at] = a;
    section[other] = b;
}

// From projections of ones: the step of each voxel over the weights with which it is seen, times the mask that lies there.
@compute @workgroup_size(4, 8, 8)
fn weigh(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let p = place_of(local, group);
    if p.x >= params.wide || p.y >= params.deep || p.z > 0u || p.w > 0u {
        return;
    }
    let seen = over_views(p.y, p.x, 0u, 0u).a.x;
    let at = params.weights_at + p.y * params.wide + p.x;
    voxel_weights[at] *= select(0.0, params.scalar / max(seen, 1e-3), seen > 1e-3);
}
