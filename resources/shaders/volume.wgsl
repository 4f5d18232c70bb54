// Ray-marching of a volume: haze by transfer function, projections, isosurface, label surfaces.
// Places are texels with centres at whole numbers; t runs along a ray in world µm.
// Keep in sync with MarchUniform in src/render/march.rs and with the reference in src/render/cpu.rs.

struct March {
    origin: array<vec4<f32>, 3>,
    direction: array<vec4<f32>, 3>,
    // x, y: half width and height of the picture at distance 1; z: 1 for perspective; w: step in µm.
    half_size: vec4<f32>,
    low: vec4<f32>,
    high: vec4<f32>,
    // Columns: gradient in camera axes per µm from gradient per texel.
    gradient: array<vec4<f32>, 3>,
    // Rows of the affine map: label texel from volume texel.
    label_rows: array<vec4<f32>, 3>,
    // Value = stored * x + y; z: window low, w: 1 / (window high - low).
    value: vec4<f32>,
    // Transfer table: x low, y entries per value, z: gradient (per µm) at which shading is half.
    transfer: vec4<f32>,
    // rgb and threshold of the isosurface.
    iso: vec4<f32>,
    // y: strength of shading, z: 1 for jitter, w: edge of a brick in texels.
    style: vec4<f32>,
    // y: strength of labels.
    label: vec4<f32>,
    background: vec4<f32>,
    // Width and height of this tile in pixels, offset of the tile in the picture.
    size: vec4<f32>,
    // Width and height of the whole picture in pixels; how far right and down of the middles of pixels rays are.
    picture: vec4<f32>,
    // x: how much the farthest point fades, y: darkness of hollows, z: of shadows.
    look: vec4<f32>,
    // x: nearest distance in µm, y: 1 / (farthest - nearest), z: shortest edge of a texel in µm, w: how far along a step rays
    // start, 0 to 1.
    depth: vec4<f32>,
    // What stays has dot(xyz, p) + w >= 0.
    cuts: array<vec4<f32>, 4>,
    // Right, down and forward of the camera, 1 µm long, in texels.
    basis: array<vec4<f32>, 3>,
    // 1 / texels of the volume along x, y, z.
    per_texel: vec4<f32>,
    // Of each channel: rows of the affine map channel texel from volume texel; x, y, z, w as of `value`; colour and extinction.
    channels: array<vec4<f32>, 10>,
    // Sheets of surfaces: x how many at most, y darkness and z width of outlines in pixels, w pixels around the picture.
    sheets: vec4<f32>,
    // Steps in depth that are an edge: x world length of a pixel (at distance 1 in perspective), y µm, z 1 for perspective.
    edge: vec4<f32>,
    // The volume, whatever the box and the cuts take away.
    whole_low: vec4<f32>,
    whole_high: vec4<f32>,
};

// What a pipeline is made for. Software drivers run through both sides of every branch, masking one of them, and only
// loops end early: what a picture has not is therefore left out, and what is rare is done after a loop over what is common.
override MODE: i32 = 0;
override LABELS: bool = true;
// Labels that are kept are not cut.
override KEEPS: bool = true;
override CHANNELS: i32 = 2;
override SHEETS: bool = true;
override SHADED: bool = true;
override HOLLOWS: bool = true;
override SHADOWS: bool = true;

const MODE_COMPOSITE: i32 = 0;
const MODE_MIP: i32 = 1;
const MODE_MINIP: i32 = 2;
const MODE_MEAN: i32 = 3;
const MODE_ISO: i32 = 4;
const MODE_LABELS: i32 = 5;
const MODE_SURFACES: i32 = 6;
const NOWHERE: f32 = 1e29;
const TABLE_LAST: f32 = 1023.0;
const MAX_STEPS: i32 = 16384;

@group(0) @binding(0) var<uniform> u: March;
@group(0) @binding(1) var image: texture_3d<f32>;
@group(0) @binding(2) var linear: sampler;
// Row 0: colour and extinction; row 1: their running integrals.
@group(0) @binding(3) var table: texture_2d<f32>;
// Bricks: d < 128: everything nearer than d bricks is empty, 128 + d: all of it is to be sampled.
@group(0) @binding(4) var leaps: texture_3d<u32>;
@group(0) @binding(5) var ids: texture_3d<u32>;
@group(0) @binding(6) var label_colors: texture_2d<f32>;
@group(0) @binding(7) var colors: texture_2d<f32>;
@group(0) @binding(8) var channel_0: texture_3d<f32>;
@group(0) @binding(9) var channel_1: texture_3d<f32>;
// Sheets of surfaces, the nearest first.
@group(0) @binding(10) var sheets: texture_2d_array<u32>;

struct Corner {
    @builtin(position) position: vec4<f32>,
    @location(0) uv: vec2<f32>,
    // What steers loops and is no constant comes this way: software drivers compile a shader anew, and keep it, for every
    // set of uniforms that a branch or a loop depends on alone. x: number of sheets, y: width of outlines.
    @location(1) @interpolate(flat) sheets: vec2<f32>,
};

@vertex
fn corner(@builtin(vertex_index) i: u32) -> Corner {
    let p = vec2<f32>(f32((i << 1u) & 2u), f32(i & 2u));
    return Corner(vec4<f32>(p.x * 2.0 - 1.0, 1.0 - p.y * 2.0, 0.0, 1.0), p, u.sheets.xz);
}

fn value_at(p: vec3<f32>) -> f32 {
    return textureSampleLevel(image, linear, (p + 0.5) * u.per_texel.xyz, 0.0).r * u.value.x + u.value.y;
}

fn gradient_at(p: vec3<f32>) -> vec3<f32> {
    let e = vec2<f32>(1.0, 0.0);
    let g = vec3<f32>(
        value_at(p + e.xyy) - value_at(p - e.xyy),
        value_at(p + e.yxy) - value_at(p - e.yxy),
        value_at(p + e.yyx) - value_at(p - e.yyx)) * 0.5;
    return u.gradient[0].xyz * g.x + u.gradient[1].xyz * g.y + u.gradient[2].xyz * g.z;
}

// Light from the upper left behind the viewer, in camera axes (right, down, forward).
const LIGHT: vec3<f32> = vec3<f32>(-0.4216, -0.5059, -0.7526);

// Shaded colour; the normal points out of the denser side, both sides are lit.
fn lit(rgb: vec3<f32>, normal: vec3<f32>, strength: f32) -> vec3<f32> {
    var n = normal;
    if (n.z > 0.0) { n = -n; }
    let diffuse = max(dot(n, LIGHT), 0.0);
    let halfway = normalize(LIGHT + vec3<f32>(0.0, 0.0, -1.0));
    let specular = pow(max(dot(n, halfway), 0.0), 32.0);
    let shaded = rgb * (0.32 + 0.76 * diffuse) + vec3<f32>(0.16 * specular);
    return mix(rgb, shaded, strength);
}

fn entry_of(value: f32) -> i32 {
    return i32(clamp((value - u.transfer.x) * u.transfer.y + 0.5, 0.0, TABLE_LAST));
}

// Mean colour and extinction between two entries, whose running integrals are known.
fn between(a: i32, b: i32, upto_a: vec4<f32>, upto_b: vec4<f32>) -> vec4<f32> {
    let direct = textureLoad(table, vec2<i32>(b, 0), 0);
    let sum = (upto_b - upto_a) * (1024.0 / f32(select(b - a, 1, a == b)));
    let mean = vec4<f32>(sum.rgb / max(sum.w, 1e-6), select(0.0, sum.w, sum.w > 1e-6));
    return select(mean, direct, a == b);
}

fn label_at(p: vec3<f32>) -> u32 {
    let h = vec4<f32>(p, 1.0);
    let q = vec3<f32>(dot(u.label_rows[0], h), dot(u.label_rows[1], h), dot(u.label_rows[2], h));
    let i = vec3<i32>(floor(q + 0.5));
    let n = vec3<i32>(textureDimensions(ids));
    if (any(i < vec3<i32>(0)) || any(i >= n)) {
        return 0u;
    }
    return textureLoad(ids, i, 0).r;
}

fn label_color(id: u32) -> vec4<f32> {
    return textureLoad(label_colors, vec2<i32>(i32(id & 255u), i32(id >> 8u)), 0);
}

// How much of the neighbourhood carries an id, 0 to 1, linear between voxel centres.
fn share_of(p: vec3<f32>, id: u32) -> f32 {
    let base = floor(p);
    let f = p - base;
    var sum = 0.0;
    for (var k = 0; k < 8; k++) {
        let c = vec3<f32>(f32(k & 1), f32((k >> 1) & 1), f32(k >> 2));
        let w = mix(1.0 - f, f, c);
        sum += select(0.0, w.x * w.y * w.z, label_at(base + c) == id);
    }
    return sum;
}

fn label_normal(p: vec3<f32>, id: u32) -> vec3<f32> {
    let e = vec2<f32>(1.5, 0.0);
    let g = vec3<f32>(
        share_of(p + e.xyy, id) - share_of(p - e.xyy, id),
        share_of(p + e.yxy, id) - share_of(p - e.yxy, id),
        share_of(p + e.yyx, id) - share_of(p - e.yyx, id));
    let n = u.gradient[0].xyz * g.x + u.gradient[1].xyz * g.y + u.gradient[2].xyz * g.z;
    let size = length(n);
    return select(n / max(size, 1e-9), vec3<f32>(0.0, 0.0, -1.0), size < 1e-9);
}

fn mapped(value: f32) -> vec4<f32> {
    let t = clamp((value - u.value.z) * u.value.w, 0.0, 1.0);
    return vec4<f32>(textureSampleLevel(colors, linear, vec2<f32>((t * 255.0 + 0.5) / 256.0, 0.5), 0.0).rgb, 1.0);
}

// How much a channel glows at a place, 0 to 1.
fn glow(c: i32, p: vec3<f32>) -> f32 {
    let h = vec4<f32>(p, 1.0);
    let k = c * 5;
    let q = vec3<f32>(dot(u.channels[k], h), dot(u.channels[k + 1], h), dot(u.channels[k + 2], h));
    var n = vec3<f32>(textureDimensions(channel_0));
    if (c == 1) { n = vec3<f32>(textureDimensions(channel_1)); }
    if (any(q < vec3<f32>(-0.5)) || any(q > n - 0.5)) { return 0.0; }
    let at = (q + 0.5) / n;
    var stored = 0.0;
    if (c == 1) {
        stored = textureSampleLevel(channel_1, linear, at, 0.0).r;
    } else {
        stored = textureSampleLevel(channel_0, linear, at, 0.0).r;
    }
    let value = u.channels[k + 3];
    return clamp((stored * value.x + value.y - value.z) * value.w, 0.0, 1.0);
}

fn noise(px: vec2<f32>) -> f32 {
    var h = u32(px.x) * 0x9E3779B1u ^ u32(px.y) * 0x85EBCA77u;
    h = (h ^ (h >> 15u)) * 0x2C1B3C6Du;
    h = (h ^ (h >> 12u)) * 0x297A2D39u;
    return f32((h ^ (h >> 15u)) >> 8u) / 16777216.0;
}

@fragment
fn march(v: Corner) -> @location(0) vec4<f32> {
    let px = floor(v.uv * u.size.xy) + 0.5;
    return trace(px, v.sheets);
}

// Colour that fades into the background with distance.
fn faded(rgb: vec3<f32>, t: f32) -> vec3<f32> {
    let far = clamp((t - u.depth.x) * u.depth.y, 0.0, 1.0);
    return mix(rgb, u.background.rgb, u.look.x * far);
}

// Texels from a direction in camera axes, µm.
fn in_texels(v: vec3<f32>) -> vec3<f32> {
    return u.basis[0].xyz * v.x + u.basis[1].xyz * v.y + u.basis[2].xyz * v.z;
}

// Whether cuts leave an id whole. Keep in sync with KEPT in src/render/scene.rs.
fn is_kept(id: u32) -> bool {
    return id != 0u && label_color(id).a > 0.998;
}

fn is_solid(p: vec3<f32>) -> bool {
    var is_open = all(p >= u.low.xyz) && all(p <= u.high.xyz);
    for (var i = 0; i < 4; i++) {
        is_open = is_open && dot(u.cuts[i].xyz, p) + u.cuts[i].w >= 0.0;
    }
    if (!is_open) {
        if (!KEEPS || any(p < u.whole_low.xyz) || any(p > u.whole_high.xyz)) { return false; }
        if (!is_kept(label_at(p))) { return false; }
    }
    if (MODE == MODE_LABELS) {
        let id = label_at(p);
        return id != 0u && label_color(id).a * u.label.y > 0.5;
    }
    return value_at(p) >= u.iso.w;
}

// What is left of the light at a place of a surface: hollows see less of it, and what stands between takes it away.
fn light_left(p: vec3<f32>, normal: vec3<f32>) -> f32 {
    var n = normal;
    if (n.z > 0.0) { n = -n; }
    var left = 1.0;
    if (HOLLOWS) {
        var hidden = 0.0;
        for (var i = 0; i < 8; i++) {
            let corner = vec3<f32>(f32(i & 1) * 2.0 - 1.0, f32((i >> 1) & 1) * 2.0 - 1.0, f32(i >> 2) * 2.0 - 1.0);
            let direction = normalize(corner * 0.57735 + n * 1.05);
            for (var j = 0; j < 3; j++) {
                let reach = u.depth.z * (2.0 + 3.0 * f32(j) + 1.5 * f32(j * j));
                if (is_solid(p + in_texels(direction * reach))) {
                    hidden += 1.0 - 0.25 * f32(j);
                    break;
                }
            }
        }
        left *= 1.0 - u.look.y * 0.9 * hidden / 8.0;
    }
    if (SHADOWS) {
        let toward = in_texels(LIGHT * u.depth.z);
        for (var j = 0; j < 40; j++) {
            if (is_solid(p + toward * (2.0 + 1.5 * f32(j)))) {
                // Softer the farther what takes the light away.
                left *= 1.0 - u.look.z * 0.6 * (1.0 - f32(j) / 40.0);
                break;
            }
        }
    }
    return left;
}

// What a ray has gathered, and the sheet of a surface that it meets next: colour and distance, see surface.wgsl.
struct Gathered {
    acc: vec4<f32>,
    next: vec2<u32>,
    t: f32,
    at: i32,
    px: vec2<i32>,
    // Darkness of the outline, for the first sheet that is there.
    outline: f32,
};

fn sheet(px: vec2<i32>, at: i32) -> vec2<u32> {
    return textureLoad(sheets, px, at, 0).xy;
}

// Distance of the first sheet at a pixel.
fn first_sheet(px: vec2<i32>, n: i32) -> f32 {
    var t = bitcast<f32>(sheet(px, 0).y);
    if (t < 0.0 && n > 1) { t = bitcast<f32>(sheet(px, 1).y); }
    return select(t, NOWHERE, t < 0.0 || t > NOWHERE);
}

// How much of a pixel is outline: where the first sheet ends before what lies behind.
fn outline_at(px: vec2<i32>, n: i32, width: f32) -> f32 {
    let t = first_sheet(px, n);
    if (t >= NOWHERE) { return 0.0; }
    let pixel = u.edge.x * mix(1.0, t, u.edge.z);
    var share = 0.0;
    for (var i = 1; i <= 4; i++) {
        let ring = f32(i);
        if (ring < width + 1.0 && share == 0.0) {
            let step = t + u.edge.y + 6.0 * ring * pixel;
            let far = max(max(first_sheet(px + vec2<i32>(i, 0), n), first_sheet(px - vec2<i32>(i, 0), n)),
                max(first_sheet(px + vec2<i32>(0, i), n), first_sheet(px - vec2<i32>(0, i), n)));
            share = select(0.0, clamp(width + 1.0 - ring, 0.0, 1.0), far > step);
        }
    }
    return share;
}

// Adds the sheets up to a distance.
fn gather(g: ptr<function, Gathered>, n: i32, upto: f32) {
    for (var j = 0; j < 64; j++) {
        if ((*g).at >= n || (*g).t > upto) { break; }
        var color = unpack4x8unorm((*g).next.x);
        if ((*g).t >= 0.0) {
            color = vec4<f32>(color.rgb * (1.0 - (*g).outline), max(color.a, (*g).outline));
            (*g).outline = 0.0;
        }
        (*g).acc += (1.0 - (*g).acc.a) * color.a * vec4<f32>(faded(color.rgb, (*g).t), 1.0);
        (*g).at += 1;
        if ((*g).at < n) {
            (*g).next = sheet((*g).px, (*g).at);
            (*g).t = bitcast<f32>((*g).next.y);
        }
    }
}

fn over_background(acc: vec4<f32>) -> vec4<f32> {
    let back = vec4<f32>(u.background.rgb * u.background.a, u.background.a);
    return acc + (1.0 - acc.a) * back;
}

// Lays what glows at a place behind what a ray has gathered and what of it waits to be shaded.
fn lay_channels(ray: ptr<function, Gathered>, waiting: f32, p: vec3<f32>, t: f32) {
    for (var c = 0; c < CHANNELS; c++) {
        let light = u.channels[c * 5 + 4];
        let a = 1.0 - exp(-glow(c, p) * light.w * u.half_size.w);
        (*ray).acc += (1.0 - (*ray).acc.a - waiting) * a * vec4<f32>(faded(light.rgb, t), 1.0);
    }
}

// Haze is shaded together: up to this opacity, within this number of texels.
const TOGETHER: f32 = 0.02;
const TOGETHER_TEXELS: f32 = 8.0;
// What has less is not shaded.
const FAINT: f32 = 0.004;

// What a ray comes upon.
const NOTHING: i32 = 0;
const SAMPLE: i32 = 1;
const SHEET: i32 = 2;

fn trace(px_in_tile: vec2<f32>, sheet_style: vec2<f32>) -> vec4<f32> {
    let px = px_in_tile + u.size.zw;
    let s = (px + u.picture.zw) / u.picture.xy * 2.0 - 1.0;
    let o = u.origin[0].xyz + u.origin[1].xyz * s.x + u.origin[2].xyz * s.y;
    var d = u.direction[0].xyz + u.direction[1].xyz * s.x + u.direction[2].xyz * s.y;
    let side = s * u.half_size.xy;
    d /= select(1.0, sqrt(1.0 + dot(side, side)), u.half_size.z > 0.5);
    let inv = 1.0 / select(d, vec3<f32>(1e-20), abs(d) < vec3<f32>(1e-20));
    let ta = (u.low.xyz - o) * inv;
    let tb = (u.high.xyz - o) * inv;
    let near = min(ta, tb);
    let far = max(ta, tb);
    var enter = max(max(near.x, near.y), max(near.z, 0.0));
    var leave = min(far.x, min(far.y, far.z));
    for (var i = 0; i < 4; i++) {
        let at = dot(u.cuts[i].xyz, o) + u.cuts[i].w;
        let rises = dot(u.cuts[i].xyz, d);
        if (rises > 0.0) {
            enter = max(enter, -at / rises);
        } else if (rises < 0.0) {
            leave = min(leave, -at / rises);
        } else if (at < 0.0) {
            leave = enter;
        }
    }
    // Where something is kept whole the ray goes through all of the volume.
    var begin = enter;
    var end = leave;
    if (KEEPS) {
        let wa = (u.whole_low.xyz - o) * inv;
        let wb = (u.whole_high.xyz - o) * inv;
        let whole_near = min(wa, wb);
        let whole_far = max(wa, wb);
        begin = max(max(whole_near.x, whole_near.y), max(whole_near.z, 0.0));
        end = min(whole_far.x, min(whole_far.y, whole_far.z));
    }
    let n_sheets = i32(sheet_style.x);
    var ray = Gathered(vec4<f32>(0.0), vec2<u32>(0u), NOWHERE, 0, vec2<i32>(px_in_tile) + i32(u.sheets.w), 0.0);
    if (SHEETS) {
        ray.next = sheet(ray.px, 0);
        ray.t = bitcast<f32>(ray.next.y);
        if (sheet_style.y > 0.0) { ray.outline = outline_at(ray.px, n_sheets, sheet_style.y) * u.sheets.y; }
    }
    if (MODE == MODE_SURFACES) {
        gather(&ray, n_sheets, NOWHERE);
        return over_background(ray.acc);
    }
    let dt = u.half_size.w;
    let first = begin + dt * select(0.5, fract(noise(px) + u.depth.w), u.style.z > 0.5);
    let edge = u.style.w;
    let n_bricks = vec3<i32>(textureDimensions(leaps));

    // Where a surface of the volume is looked for between two samples.
    let is_surface = MODE == MODE_ISO || MODE == MODE_LABELS;
    let back = select(0.0, dt, is_surface);
    var best = 0.0;
    var sum = 0.0;
    var count = 0.0;
    var last_entry = -1;
    var last_upto = vec4<f32>(0.0);
    var last_id = 0u;
    // The next step, and the place of the last one.
    var k = 0.0;
    var t = first;
    var p = o;
    // Where what is seen there begins at the earliest: at a cut, unless it is kept.
    var face = enter;
    var color = vec4<f32>(0.0);
    // Haze that waits to be shaded: its light, where it begins and the sum of its distances.
    var haze = vec4<f32>(0.0);
    var haze_from = 0.0;
    var haze_t = 0.0;
    for (var n = 0; n < MAX_STEPS; n++) {
        // On to the next thing that takes more than a sample, brick by brick.
        var found = NOTHING;
        for (; n < MAX_STEPS; n++) {
            if (found != NOTHING || ray.acc.a + haze.a > 0.995 || first + k * dt >= end) { break; }
            // Up to this step all is known to be there.
            var known = k;
            // Leap over empty bricks, always by whole steps: the samples stay where they would be.
            for (; n < MAX_STEPS; n++) {
                if (first + k * dt >= end) { break; }
                let at = o + d * (first + k * dt);
                let brick = clamp(vec3<i32>(floor((at + 0.5) / edge)), vec3<i32>(0), n_bricks - 1);
                let code = i32(textureLoad(leaps, brick, 0).r);
                let reach = code & 127;
                let a = (vec3<f32>(brick - reach + 1) * edge - 0.5 - o) * inv;
                let b = (vec3<f32>(brick + reach) * edge - 0.5 - o) * inv;
                let far_side = max(a, b);
                let exit = min(far_side.x, min(far_side.y, far_side.z));
                known = max(k + 1.0, ceil((exit - first) / dt));
                if (code > 127) { break; }
                k = known;
                last_entry = -1;
                last_id = 0u;
                if (haze.a > 0.0) { found = SAMPLE; }
            }
            for (var i = 0; i < MAX_STEPS; i++) {
                t = first + k * dt;
                if (found != NOTHING || k >= known || t >= end) { break; }
                if (SHEETS && ray.t <= t - back) {
                    found = SHEET;
                    break;
                }
                p = o + d * t;
                k += 1.0;
                face = enter;
                if (KEEPS && is_kept(label_at(p))) {
                    face = begin;
                } else if (t < enter || t >= leave) {
                    last_entry = -1;
                    last_id = 0u;
                    continue;
                }
                if (MODE == MODE_LABELS) {
                    let id = label_at(p);
                    let is_new = id != last_id && id != 0u;
                    last_id = id;
                    color = label_color(id);
                    color.a *= u.label.y;
                    if (is_new && color.a > 0.0) {
                        found = SAMPLE;
                        break;
                    }
                    continue;
                }
                let value = value_at(p);
                if (MODE == MODE_COMPOSITE) {
                    let entry = entry_of(value);
                    let upto = textureLoad(table, vec2<i32>(entry, 1), 0);
                    color = between(select(last_entry, entry, last_entry < 0), entry, last_upto, upto);
                    last_entry = entry;
                    last_upto = upto;
                    color.a = 1.0 - exp(-color.a * dt);
                    if (LABELS) {
                        let id = label_at(p);
                        if (id != 0u) {
                            let label = label_color(id);
                            color.a *= select(0.0, 1.0, label.a > 0.0);
                            color = vec4<f32>(mix(color.rgb, label.rgb, u.label.y * label.a), color.a);
                        }
                    }
                    let alpha = color.a * (1.0 - ray.acc.a - haze.a);
                    if (SHADED) {
                        haze_from = select(haze_from, t, haze.a == 0.0);
                        haze += alpha * vec4<f32>(color.rgb, 1.0);
                        haze_t += alpha * t;
                    } else {
                        ray.acc += alpha * vec4<f32>(faded(color.rgb, t), 1.0);
                    }
                    lay_channels(&ray, haze.a, p, t);
                    if (SHADED && (haze.a > TOGETHER || t - haze_from >= TOGETHER_TEXELS * u.depth.z)) {
                        if (haze.a > FAINT) {
                            found = SAMPLE;
                            break;
                        }
                        ray.acc += vec4<f32>(faded(haze.rgb / max(haze.a, 1e-20), t) * haze.a, haze.a);
                        haze = vec4<f32>(0.0);
                        haze_t = 0.0;
                    }
                    if (ray.acc.a + haze.a > 0.995) { break; }
                } else if (MODE == MODE_ISO) {
                    if (value >= u.iso.w) {
                        found = SAMPLE;
                        break;
                    }
                } else {
                    if (MODE == MODE_MIP) {
                        best = select(max(best, value), value, count < 0.5);
                    } else if (MODE == MODE_MINIP) {
                        best = select(min(best, value), value, count < 0.5);
                    }
                    sum += value;
                    count += 1.0;
                }
            }
        }
        if (found == NOTHING && haze.a == 0.0) { break; }
        if (MODE == MODE_COMPOSITE && SHADED) {
            let middle = haze_t / max(haze.a, 1e-20);
            let rgb = haze.rgb / max(haze.a, 1e-20);
            let g = gradient_at(o + d * middle);
            let size = length(g);
            let shaded = lit(rgb, g / max(size, 1e-30), u.style.y * size / (size + u.transfer.z));
            ray.acc += haze.a * vec4<f32>(faded(select(rgb, shaded, size > 0.0), middle), 1.0);
            haze = vec4<f32>(0.0);
            haze_t = 0.0;
        }
        if (SHEETS && found == SHEET) {
            gather(&ray, n_sheets, t - back);
            continue;
        }
        if (MODE == MODE_LABELS) {
            let id = last_id;
            var lo = max(t - dt, face);
            var hi = t;
            for (var j = 0; j < 5; j++) {
                let m = 0.5 * (lo + hi);
                if (label_at(o + d * m) == id) { hi = m; } else { lo = m; }
            }
            var rgb = color.rgb;
            // Cut open: the face is flat.
            if (t - dt > face || label_at(o + d * face) != id) {
                let normal = label_normal(o + d * hi, id);
                rgb = lit(rgb, normal, u.style.y) * light_left(o + d * hi, normal);
            }
            if (SHEETS) { gather(&ray, n_sheets, hi); }
            ray.acc += (1.0 - ray.acc.a) * color.a * vec4<f32>(faded(rgb, t), 1.0);
        } else if (MODE == MODE_ISO) {
            var lo = max(t - dt, face);
            let at_lo = value_at(o + d * lo);
            if (at_lo >= u.iso.w) {
                // Cut open: the face shows the values.
                if (SHEETS) { gather(&ray, n_sheets, lo); }
                ray.acc += (1.0 - ray.acc.a) * vec4<f32>(faded(mapped(at_lo).rgb, lo), 1.0);
                break;
            }
            var hi = t;
            for (var j = 0; j < 6; j++) {
                let m = 0.5 * (lo + hi);
                if (value_at(o + d * m) >= u.iso.w) { hi = m; } else { lo = m; }
            }
            let at = o + d * hi;
            let g = gradient_at(at);
            var rgb = u.iso.rgb;
            if (LABELS) {
                let label = label_color(label_at(at + normalize(d) * 0.5));
                rgb = mix(rgb, label.rgb, u.label.y * label.a);
            }
            let normal = g / max(length(g), 1e-12);
            rgb = lit(rgb, normal, u.style.y) * light_left(at, normal);
            if (SHEETS) { gather(&ray, n_sheets, hi); }
            ray.acc += (1.0 - ray.acc.a) * vec4<f32>(faded(rgb, hi), 1.0);
            break;
        }
    }
    if (MODE == MODE_MIP || MODE == MODE_MINIP || MODE == MODE_MEAN) {
        if (MODE == MODE_MEAN) { best = sum / max(count, 1.0); }
        if (MODE == MODE_MIP && count < 0.5) { best = u.value.z; }
        if (end > begin && (count > 0.5 || MODE == MODE_MIP)) { ray.acc = mapped(best); }
    }
    if (SHEETS && ray.acc.a <= 0.995) { gather(&ray, n_sheets, NOWHERE); }
    return over_background(ray.acc);
}
