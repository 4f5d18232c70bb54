// Surfaces of meshes as sheets: for every pixel the nearest sheet, the next one, and so on (depth peeling after Everitt 2001).
// A sheet is a colour and a distance t along the ray in world µm; volume.wgsl lays them between the samples of a ray.
// Places are in camera axes: right, down, forward, µm, from the eye.
// Keep in sync with SurfaceUniform in src/render/surface_setup.rs and with the reference in src/render/surface_cpu.rs.

struct Surface {
    // Rows of the affine map: camera axes from the places of the vertices.
    rows: array<vec4<f32>, 3>,
    // x, y: half width and height of the picture at distance 1, or of the picture where rays are parallel; z: 1 for
    // perspective; w: 1 / the farthest t.
    half_size: vec4<f32>,
    // Tile from picture: x' = x · xy.x + xy.z, y' = y · xy.y + xy.w in clip space.
    tile: vec4<f32>,
    // Picture and tile in pixels: width and height of the picture, place of the target's corner in it.
    picture: vec4<f32>,
    // x: strength of shading, y: darkness of edges seen from the side, z: how far the inside is set back, µm.
    look: vec4<f32>,
    // Window of the values: x low, y 1 / (high - low).
    value: vec4<f32>,
    // What stays has dot(xyz, p) + w >= 0.
    cuts: array<vec4<f32>, 10>,
};

@group(0) @binding(0) var<uniform> u: Surface;
// Of each part: colour and opacity; x: 1 for colour by value, y: 1 where cuts leave it whole.
@group(0) @binding(1) var styles: texture_2d<f32>;
@group(0) @binding(2) var linear: sampler;
@group(0) @binding(3) var colors: texture_2d<f32>;
// The sheet before this one, or one pixel with t below 0.
@group(0) @binding(4) var before: texture_2d<u32>;
// Signed crossings of the parts, to close what is cut.
@group(0) @binding(5) var crossings: texture_2d<f32>;
// The faces of cuts.
@group(0) @binding(6) var faces: texture_2d<u32>;

const STYLES: u32 = 512u;
const NOWHERE: f32 = 1e30;

struct Vertex {
    @location(0) place: vec3<f32>,
    @location(1) part: u32,
    @location(2) normal: vec3<f32>,
    @location(3) value: f32,
};

struct Point {
    @builtin(position) position: vec4<f32>,
    @location(0) place: vec3<f32>,
    @location(1) normal: vec3<f32>,
    @location(2) value: f32,
    @location(3) @interpolate(flat) part: u32,
    @location(4) @interpolate(flat) style: vec4<f32>,
    // x: 1 for colour by value, 2 more where cuts leave it whole, y: 1 for perspective, z: strength of shading, w: darkness of edges.
    @location(5) @interpolate(flat) steer: vec4<f32>,
};

@vertex
fn vertex(v: Vertex) -> Point {
    let h = vec4<f32>(v.place, 1.0);
    let p = vec3<f32>(dot(u.rows[0], h), dot(u.rows[1], h), dot(u.rows[2], h));
    let n = vec3<f32>(dot(u.rows[0].xyz, v.normal), dot(u.rows[1].xyz, v.normal), dot(u.rows[2].xyz, v.normal));
    let at = vec2<i32>(i32(v.part % STYLES), i32(v.part / STYLES) * 2);
    let style = textureLoad(styles, at, 0);
    let how = textureLoad(styles, at + vec2<i32>(0, 1), 0).xy;
    let w = mix(1.0, p.z, u.half_size.z);
    var clip = vec4<f32>(p.x / u.half_size.x, -p.y / u.half_size.y, 0.5 * w, w);
    clip.x = clip.x * u.tile.x + w * u.tile.z;
    clip.y = clip.y * u.tile.y + w * u.tile.w;
    // What is hidden lies nowhere.
    if (style.a <= 0.0) { clip = vec4<f32>(2.0, 2.0, 2.0, 1.0); }
    return Point(clip, p, n, v.value, v.part, style, vec4<f32>(how.x + 2.0 * how.y, u.half_size.z, u.look.x, u.look.y));
}

// Light from the upper left behind the viewer, as in volume.wgsl.
const LIGHT: vec3<f32> = vec3<f32>(-0.4216, -0.5059, -0.7526);

fn lit(rgb: vec3<f32>, n: vec3<f32>, strength: f32) -> vec3<f32> {
    let diffuse = max(dot(n, LIGHT), 0.0);
    let halfway = normalize(LIGHT + vec3<f32>(0.0, 0.0, -1.0));
    let specular = pow(max(dot(n, halfway), 0.0), 32.0);
    let shaded = rgb * (0.32 + 0.76 * diffuse) + vec3<f32>(0.16 * specular);
    return mix(rgb, shaded, strength);
}

fn distance_along(p: vec3<f32>, perspective: f32) -> f32 {
    return mix(p.z, length(p), perspective);
}

fn is_cut(p: vec3<f32>) -> bool {
    var cut = false;
    for (var i = 0; i < 10; i++) {
        cut = cut || dot(u.cuts[i].xyz, p) + u.cuts[i].w < 0.0;
    }
    return cut;
}

struct Sheet {
    @location(0) sheet: vec2<u32>,
    @builtin(frag_depth) depth: f32,
};

@fragment
fn peel(v: Point, @builtin(front_facing) front: bool) -> Sheet {
    let kept = v.steer.x > 1.5;
    if (!kept && is_cut(v.place)) { discard; }
    let t = distance_along(v.place, v.steer.y) + select(u.look.z, 0.0, front);
    let last = vec2<i32>(textureDimensions(before)) - 1;
    let known = textureLoad(before, min(vec2<i32>(v.position.xy), last), 0).xy;
    let behind = bitcast<f32>(known.y);
    // Behind what hides everything, or one of the sheets that are there already.
    if (t <= behind || (known.x >> 24u) == 255u) { discard; }
    let side = select(-1.0, 1.0, front);
    let n = normalize(v.normal) * side;
    var rgb = v.style.rgb;
    if (v.steer.x == 1.0 || v.steer.x == 3.0) {
        let share = clamp((v.value - u.value.x) * u.value.y, 0.0, 1.0);
        let known = v.value > -1e30 && v.value < 1e30;
        let mapped = textureSampleLevel(colors, linear, vec2<f32>((share * 255.0 + 0.5) / 256.0, 0.5), 0.0).rgb;
        rgb = select(vec3<f32>(0.5), mapped, known);
    }
    // The inside is flatter.
    rgb = lit(rgb, n, v.steer.z * select(0.6, 1.0, front));
    let view = mix(vec3<f32>(0.0, 0.0, 1.0), normalize(v.place), v.steer.y);
    let seen = clamp(abs(dot(n, view)) / 0.35, 0.0, 1.0);
    let edge = (1.0 - seen * seen * (3.0 - 2.0 * seen)) * v.steer.w;
    rgb *= 1.0 - edge;
    let alpha = mix(v.style.a, 1.0, edge * 0.8 * f32(front));
    return Sheet(vec2<u32>(pack4x8unorm(vec4<f32>(clamp(rgb, vec3<f32>(0.0), vec3<f32>(1.0)), alpha)),
        bitcast<u32>(t)), clamp(t * u.half_size.w, 0.0, 1.0));
}

// Where a ray comes out from behind what is cut away, 0 where nothing is.
fn entry(origin: vec3<f32>, direction: vec3<f32>) -> f32 {
    var enter = 0.0;
    for (var i = 0; i < 10; i++) {
        let at = dot(u.cuts[i].xyz, origin) + u.cuts[i].w;
        let rises = dot(u.cuts[i].xyz, direction);
        enter = max(enter, select(0.0, -at / rises, rises > 0.0));
    }
    return enter;
}

fn leaves(origin: vec3<f32>, direction: vec3<f32>) -> f32 {
    var leave = NOWHERE;
    for (var i = 0; i < 10; i++) {
        let at = dot(u.cuts[i].xyz, origin) + u.cuts[i].w;
        let rises = dot(u.cuts[i].xyz, direction);
        leave = min(leave, select(NOWHERE, -at / rises, rises < 0.0));
        leave = select(leave, -1.0, rises == 0.0 && at < 0.0);
    }
    return leave;
}

// Crossings behind the cut: a ray that leaves a part more often than it enters it began inside. How many parts that holds
// for, and the sum of their numbers as three digits of 32: sums of many crossings are exact in 16-bit floats.
@fragment
fn cross(v: Point, @builtin(front_facing) front: bool) -> @location(0) vec4<f32> {
    let t = distance_along(v.place, v.steer.y);
    let origin = vec3<f32>(v.place.xy, 0.0) * (1.0 - v.steer.y);
    let direction = mix(vec3<f32>(0.0, 0.0, 1.0), normalize(v.place), v.steer.y);
    let enter = entry(origin, direction);
    if (enter <= 0.0 || t <= enter || v.steer.x > 1.5) { discard; }
    let n = v.part + 1u;
    let digits = vec4<f32>(f32(n & 31u), f32((n >> 5u) & 31u), f32(n >> 10u), 1.0);
    return digits * select(1.0, -1.0, front);
}

struct Corner {
    @builtin(position) position: vec4<f32>,
    @location(0) @interpolate(flat) perspective: f32,
};

@vertex
fn corner(@builtin(vertex_index) i: u32) -> Corner {
    let p = vec2<f32>(f32((i << 1u) & 2u), f32(i & 2u));
    return Corner(vec4<f32>(p.x * 2.0 - 1.0, 1.0 - p.y * 2.0, 0.0, 1.0), u.half_size.z);
}

// Number of the part that a ray begins in, 0 for none, -1 where it is several.
fn part_at(px: vec2<i32>) -> i32 {
    let last = vec2<i32>(textureDimensions(crossings)) - 1;
    let sums = vec4<i32>(round(textureLoad(crossings, clamp(px, vec2<i32>(0), last), 0)));
    let n = sums.x + sums.y * 32 + sums.z * 1024;
    return select(select(0, -1, sums.w > 1), n, sums.w == 1);
}

// The face of a cut among the surfaces of a sheet: what cuts leave whole may lie before it.
@fragment
fn cap(v: Corner) -> Sheet {
    let here = vec2<i32>(v.position.xy);
    let face = textureLoad(faces, here, 0).xy;
    let t = bitcast<f32>(face.y);
    let last = vec2<i32>(textureDimensions(before)) - 1;
    let known = textureLoad(before, min(here, last), 0).xy;
    if (t < 0.0 || t <= bitcast<f32>(known.y) || (known.x >> 24u) == 255u) { discard; }
    return Sheet(face, clamp(t * u.half_size.w, 0.0, 1.0));
}

// The face of the cut where a part is cut open.
@fragment
fn close(v: Corner) -> @location(0) vec2<u32> {
    let none = vec2<u32>(0u, bitcast<u32>(-1.0));
    let here = vec2<i32>(v.position.xy);
    var n = part_at(here);
    // Surfaces of regions that touch overlap by a part of a voxel: one of the two, from beside.
    for (var k = 4; k < 20 && n < 0; k++) {
        let ring = k / 4 * (1 - 2 * (k & 1));
        let beside = part_at(here + select(vec2<i32>(ring, 0), vec2<i32>(0, ring), (k & 2) > 0));
        n = select(n, beside, beside > 0);
    }
    let px = v.position.xy + u.picture.zw;
    let s = px / u.picture.xy * 2.0 - 1.0;
    let side = s * u.half_size.xy;
    let origin = vec3<f32>(side, 0.0) * (1.0 - v.perspective);
    let direction = mix(vec3<f32>(0.0, 0.0, 1.0), normalize(vec3<f32>(side, 1.0)), v.perspective);
    let enter = entry(origin, direction);
    if (n <= 0 || enter <= 0.0 || enter >= leaves(origin, direction)) { return none; }
    let part = u32(n - 1);
    let style = textureLoad(styles, vec2<i32>(i32(part % STYLES), i32(part / STYLES) * 2), 0);
    return vec2<u32>(pack4x8unorm(vec4<f32>(style.rgb * 0.86, style.a)), bitcast<u32>(enter));
}
