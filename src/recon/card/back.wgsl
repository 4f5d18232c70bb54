// Back projection gathered at voxels: the footprint of kernels/projector on the processor.
//
// One invocation sums one vector of rows of two planes at one voxel over a range of views; a workgroup is 8 × 8 voxels,
// whose columns lie together in every view. Begins with common.wgsl.

@group(0) @binding(2) var<storage, read> sino: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> voxel_weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> section: array<vec4<f32>>;

// The two columns of a view that a voxel sees.
struct Tap {
    at: i32,
    near: f32,
    far: f32,
    column: i32,
}

// What voxel i along x, j along z sees of a view, whose first column lies at `origin`. Beside the columns lies a margin of zeros.
fn tap(view: u32, i: f32, j: f32, n: i32, origin: u32) -> Tap {
    let way = views[view].seen;
    let place = way.exact.x + i * way.exact.y + j * way.exact.z;
    let whole = floor(place);
    let rest = (place - whole) + (way.rest.x + i * way.rest.y + j * way.rest.z);
    let more = floor(rest);
    let column = clamp(i32(whole + more), -2, n);
    let t = rest - more;
    let peak = way.exact.w;
    let slope = peak * peak;
    return Tap(i32(origin) + column * 4, max(peak - t * slope, 0.0), max(peak - (1.0 - t) * slope, 0.0), column);
}

fn is_seen(column: i32, n: i32) -> bool {
    return column >= -1 && column < n;
}

fn over_views(z: u32, x: u32, quad: u32, plane: u32) -> Sums {
    var sums = Sums(vec4<f32>(), vec4<f32>());
    let n = i32(params.n_cols);
    let second = i32(params.sino_plane * 4u);
    let stride = params.sino_stride * 4u;
    let first = params.first_view;
    let end = first + params.n_views;
    let i = f32(x);
    let j = f32(z);
    var line = (plane * params.sino_plane + first * params.sino_stride + MARGIN) * 4u + quad;
    // Two views at a time, so that the loads of both are under way; the last of an odd number is its own second.
    for (var view = first; view < end; view += 2u) {
        let is_pair = view + 1u < end;
        let one = tap(view, i, j, n, line);
        var two = tap(view + u32(is_pair), i, j, n, line + select(0u, stride, is_pair));
        line += 2u * stride;
        if !is_seen(one.column, n) && !is_seen(two.column, n) {
            continue;
        }
        two.near = select(0.0, two.near, is_pair);
        two.far = select(0.0, two.far, is_pair);
        let one_near = sino[one.at];
        let one_far = sino[one.at + 4];
        let one_near_b = sino[one.at + second];
        let one_far_b = sino[one.at + second + 4];
        let two_near = sino[two.at];
        let two_far = sino[two.at + 4];
        let two_near_b = sino[two.at + second];
        let two_far_b = sino[two.at + second + 4];
        sums.a += one.near * one_near + one.far * one_far;
        sums.b += one.near * one_near_b + one.far * one_far_b;
        sums.a += two.near * two_near + two.far * two_far;
        sums.b += two.near * two_near_b + two.far * two_far_b;
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
