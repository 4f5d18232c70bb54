// Line integrals of a section, gathered along rays: the footprint of kernels/projector on the processor.
//
// Rows lie in groups of sixteen, four vectors of four; one invocation sums one vector of two planes (32 rows apart by
// sixteen), so that a tap's place and weights are found once for eight rows and four neighbouring invocations read 64
// bytes that lie together. A workgroup is 64 columns of one view. Begins with common.wgsl.

@group(0) @binding(2) var<storage, read> section: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> measured: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> ray_weights: array<f32>;
@group(0) @binding(5) var<storage, read_write> sino: array<vec4<f32>>;

// Where a ray meets lines.
struct Taps {
    start: f32,
    start_rest: f32,
    line: f32,
    line_rest: f32,
    n: i32,
    next_tap: i32,
}

struct Tap {
    at: i32,
    far: f32,
}

// Where the ray meets the line of this step, whose first voxel lies at `origin`. Beside the section lies a margin of zeros.
fn tap(t: Taps, step: f32, origin: i32) -> Tap {
    let place = t.start + step * t.line;
    let whole = floor(place);
    let rest = (place - whole) + (t.start_rest + step * t.line_rest);
    let more = floor(rest);
    let index = clamp(i32(whole + more), -2, t.n);
    return Tap(origin + index * t.next_tap, rest - more);
}

fn along_ray(view: u32, u: u32, quad: u32, plane: u32) -> Sums {
    let way = views[view].ray;
    let along_z = way.rest.w > 0.5;
    let steps = select(params.wide, params.deep, along_z);
    let n = i32(select(params.deep, params.wide, along_z));
    // Distances in vectors: to the next step, to the next tap, to the second plane
    let next_step = i32(select(4u, params.section_stride * 4u, along_z));
    let next_tap = i32(select(params.section_stride * 4u, 4u, along_z));
    let second = i32(params.section_plane * 4u);
    let origin = i32((plane * params.section_plane + params.section_first) * 4u + quad);
    let start = way.exact.x + f32(u) * way.exact.y;
    let start_rest = way.rest.x + f32(u) * way.rest.y;
    // The steps at which the ray is inside, and a little more: what single precision may be wrong by far from the corner.
    var first = 0.0;
    var last = f32(steps);
    let slope = way.exact.z + way.rest.z;
    if abs(slope) > 1e-6 {
        let enter = (-1.01 - (start + start_rest)) / slope;
        let leave = (f32(n) + 0.01 - (start + start_rest)) / slope;
        first = clamp(floor(min(enter, leave)) - 1.0, 0.0, last);
        last = clamp(ceil(max(enter, leave)) + 2.0, 0.0, last);
    }
    var sums = Sums(vec4<f32>(), vec4<f32>());
    let end = i32(last);
    var line = origin + i32(first) * next_step;
    // Two steps at a time, so that the loads of both are under way; one too many reads the margin.
    for (var step = i32(first); step < end; step += 2) {
        let t = Taps(start, start_rest, way.exact.z, way.rest.z, n, next_tap);
        let one = tap(t, f32(step), line);
        let two = tap(t, f32(step + 1), line + next_step);
        let one_near = section[one.at];
        let one_far = section[one.at + next_tap];
        let one_near_b = section[one.at + second];
        let one_far_b = section[one.at + second + next_tap];
        let two_near = section[two.at];
        let two_far = section[two.at + next_tap];
        let two_near_b = section[two.at + second];
        let two_far_b = section[two.at + second + next_tap];
        sums.a += (1.0 - one.far) * one_near + one.far * one_far;
        sums.b += (1.0 - one.far) * one_near_b + one.far * one_far_b;
        sums.a += (1.0 - two.far) * two_near + two.far * two_far;
        sums.b += (1.0 - two.far) * two_near_b + two.far * two_far_b;
        line += 2 * next_step;
    }
    sums.a *= way.exact.w;
    sums.b *= way.exact.w;
    return sums;
}

// What the rays see of the section.
@compute @workgroup_size(4, 64, 1)
fn project(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let tile = params.first_tile + group.x;
    let view = params.first_view + tile / params.tiles_across;
    let u = tile % params.tiles_across * 64u + local.y;
    if u >= params.n_cols {
        return;
    }
    let plane = group.y * 2u;
    let sums = along_ray(view, u, local.x, plane);
    let at = (plane * params.sino_plane + view * params.sino_stride + MARGIN + u) * 4u + local.x;
    sino[at] = sums.a;
    sino[at + params.sino_plane * 4u] = sums.b;
}

// What is missing along each ray, over its length.
@compute @workgroup_size(4, 64, 1)
fn compare(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let tile = params.first_tile + group.x;
    let view = params.first_view + tile / params.tiles_across;
    let u = tile % params.tiles_across * 64u + local.y;
    if u >= params.n_cols {
        return;
    }
    let plane = group.y * 2u;
    let sums = along_ray(view, u, local.x, plane);
    let weight = ray_weights[view * params.n_cols + u];
    let at = (plane * params.sino_plane + view * params.sino_stride + MARGIN + u) * 4u + local.x;
    let other = at + params.sino_plane * 4u;
    sino[at] = (measured[at] - sums.a) * weight;
    sino[other] = (measured[other] - sums.b) * weight;
}
