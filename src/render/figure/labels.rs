//! Where the words of rulers stand: beside their ruler, and none on another.
//!
//! Each takes its preferred place where that is free, else the next free one around its ruler. The same for the
//! window and for figures.

use glam::DVec2;

use super::RulerShape;

/// A part of a picture; y runs down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    /// Left upper corner.
    pub low: DVec2,
    /// Right lower corner.
    pub high: DVec2,
}

impl Area {
    /// From its left upper corner and its size.
    pub fn new(low: DVec2, size: DVec2) -> Self {
        Self { low, high: low + size }
    }

    /// How much of it another one covers.
    fn shared(&self, other: &Self) -> f64 {
        let size = (self.high.min(other.high) - self.low.max(other.low)).max(DVec2::ZERO);
        size.x * size.y
    }

    fn contains(&self, at: DVec2) -> bool {
        at.cmpge(self.low).all() && at.cmple(self.high).all()
    }

    /// Moved so far that it lies within another one; left upper where it is too large.
    fn within(self, room: &Self) -> Self {
        let size = self.high - self.low;
        Self::new(self.low.min(room.high - size).max(room.low), size)
    }
}

/// Words that need a place.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// What they belong to.
    pub shape: RulerShape,
    /// Its points in the picture.
    pub points: Vec<DVec2>,
    /// Room that the words take.
    pub size: DVec2,
}

/// How far around the preferred place a free one is looked for: widths and heights of the words.
const REACH: [i32; 2] = [2, 8];
/// A line that rises faster than this runs through what stands to the right above its middle.
const RISES: f64 = 0.1;

/// A place for each label, `gap` away from its ruler, within `room` where its ruler is; none on another nor, where
/// that can be, on what is `taken`.
pub fn place_labels(labels: &[Label], room: Area, taken: &[Area], gap: f64) -> Vec<Area> {
    let mut taken = taken.to_vec();
    let first = taken.len();
    for label in labels {
        let place = free(label, &room, &taken, gap);
        taken.push(place);
    }
    taken.split_off(first)
}

/// The first free place; where there is none, that of which least is taken.
fn free(label: &Label, room: &Area, taken: &[Area], gap: f64) -> Area {
    let (anchor, beside) = beside(label, gap);
    let area = |low: DVec2| Area::new(low, label.size);
    let preferred = beside.first().copied().unwrap_or(anchor);
    // What belongs to something out of sight goes out of sight with it.
    if !room.contains(anchor) {
        return area(preferred);
    }
    let around = std::iter::once(()).flat_map(|()| around(preferred, label.size));
    let mut best: Option<(f64, Area)> = None;
    for place in beside.iter().copied().chain(around).map(|low| area(low).within(room)) {
        let lost: f64 = taken.iter().map(|other| place.shared(other)).sum();
        if lost <= 0.0 {
            return place;
        }
        if best.is_none_or(|(least, _)| lost < least) {
            best = Some((lost, place));
        }
    }
    best.map_or_else(|| area(preferred), |(_, place)| place)
}

/// Where a ruler has its words, and their left upper corners beside it, the preferred one first.
fn beside(label: &Label, gap: f64) -> (DVec2, Vec<DVec2>) {
    let size = label.size;
    let half = size * 0.5;
    let [left, right, above, below] = [-gap - size.x, gap, -gap - size.y, gap];
    match (label.shape, label.points.as_slice()) {
        (RulerShape::Angle, [a, b, c, ..]) => {
            let away = -((*a - *b).normalize_or_zero() + (*c - *b).normalize_or_zero());
            let mut sides = [
                (DVec2::X, DVec2::new(right, -half.y)),
                (-DVec2::X, DVec2::new(left, -half.y)),
                (-DVec2::Y, DVec2::new(-half.x, above)),
                (DVec2::Y, DVec2::new(-half.x, below)),
            ];
            sides.sort_by(|(a, _), (b, _)| b.dot(away).total_cmp(&a.dot(away)));
            (*b, sides.map(|(_, by)| *b + by).to_vec())
        }
        (RulerShape::Area, points) if !points.is_empty() => {
            let low = points.iter().copied().fold(DVec2::INFINITY, DVec2::min);
            let high = points.iter().copied().fold(DVec2::NEG_INFINITY, DVec2::max);
            let middle = (low + high) * 0.5;
            let places = [
                DVec2::new(middle.x - half.x, high.y + gap),
                DVec2::new(middle.x - half.x, low.y + above),
                DVec2::new(high.x + gap, middle.y - half.y),
                DVec2::new(low.x + left, middle.y - half.y),
            ];
            (middle, places.to_vec())
        }
        (_, [a, b, ..]) => {
            let along = *b - *a;
            let rises = along.x * along.y < 0.0 && along.y.abs() > RISES * along.x.abs();
            let clear = if rises { [(right, below), (left, above)] } else { [(right, above), (left, below)] };
            let other = if rises { [(left, below), (right, above)] } else { [(left, above), (right, below)] };
            let beside = |sides: [(f64, f64); 2]| {
                move |t: f64| sides.map(|(x, y)| *a + along * t + DVec2::new(x, y)).into_iter()
            };
            let along = [0.5, 0.3, 0.7, 0.1, 0.9].into_iter();
            (
                (*a + *b) * 0.5,
                along.clone().flat_map(beside(clear)).chain(along.flat_map(beside(other))).collect(),
            )
        }
        (_, points) => (points.first().copied().unwrap_or_default(), Vec::new()),
    }
}

/// Places around one, the nearest first.
fn around(middle: DVec2, size: DVec2) -> Vec<DVec2> {
    let step = |i: i32, j: i32| DVec2::new(f64::from(i), f64::from(j)) * (size + 1.0);
    let [wide, high] = REACH;
    let mut steps: Vec<DVec2> =
        (-high..=high).flat_map(|j| (-wide..=wide).map(move |i| step(i, j))).collect();
    steps.sort_by(|a, b| a.length_squared().total_cmp(&b.length_squared()));
    steps.into_iter().map(|by| middle + by).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Area = Area { low: DVec2::ZERO, high: DVec2::new(400.0, 300.0) };

    fn label(shape: RulerShape, points: &[[f64; 2]]) -> Label {
        let points = points.iter().map(|p| DVec2::from_array(*p)).collect();
        Label { shape, points, size: DVec2::new(60.0, 16.0) }
    }

    fn apart(places: &[Area]) -> bool {
        let pairs = (0..places.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
        pairs.into_iter().all(|(i, j)| places[i].shared(&places[j]) <= 0.0)
    }

    #[test]
    fn one_alone_stands_beside_its_ruler_and_off_its_line() {
        let falls = label(RulerShape::Distance, &[[100.0, 100.0], [200.0, 200.0]]);
        let rises = label(RulerShape::Distance, &[[100.0, 200.0], [200.0, 100.0]]);
        let place = |one: &Label| place_labels(std::slice::from_ref(one), ROOM, &[], 5.0)[0];
        assert_eq!(place(&falls).low, DVec2::new(155.0, 129.0), "right above the middle");
        assert_eq!(place(&rises).low, DVec2::new(155.0, 155.0), "right below it");
        let area = label(RulerShape::Area, &[[100.0, 100.0], [160.0, 100.0], [130.0, 150.0]]);
        assert_eq!(place(&area).low, DVec2::new(100.0, 155.0), "below");
        // Arms to the left: the words stand to the right of the corner, and the other way round.
        let opens_left = label(RulerShape::Angle, &[[50.0, 90.0], [200.0, 100.0], [50.0, 110.0]]);
        assert_eq!(place(&opens_left).low, DVec2::new(205.0, 92.0));
        let opens_right = label(RulerShape::Angle, &[[350.0, 90.0], [200.0, 100.0], [350.0, 110.0]]);
        assert_eq!(place(&opens_right).low, DVec2::new(135.0, 92.0));
    }

    #[test]
    fn none_lies_on_another_nor_on_what_is_taken() {
        let same = label(RulerShape::Distance, &[[150.0, 150.0], [210.0, 150.0]]);
        let corner = label(RulerShape::Angle, &[[150.0, 100.0], [180.0, 150.0], [220.0, 100.0]]);
        let area = label(RulerShape::Area, &[[150.0, 120.0], [210.0, 120.0], [180.0, 150.0]]);
        let mut many = vec![same.clone(); 20];
        many.extend([corner, area]);
        let bar = Area::new(DVec2::new(180.0, 120.0), DVec2::new(80.0, 20.0));
        let places = place_labels(&many, ROOM, &[bar], 4.0);
        assert!(apart(&places));
        for place in &places {
            assert_eq!(place.shared(&bar), 0.0);
            assert!(ROOM.contains(place.low) && ROOM.contains(place.high), "{place:?}");
        }
        assert_eq!(places, place_labels(&many, ROOM, &[bar], 4.0), "the same each time");
        // The first keeps its place, however many follow.
        assert_eq!(place_labels(&many[..1], ROOM, &[bar], 4.0)[0], places[0]);
    }

    #[test]
    fn words_stay_in_the_picture_and_leave_it_with_their_ruler() {
        let at_edge = label(RulerShape::Distance, &[[380.0, 2.0], [396.0, 2.0]]);
        let place = place_labels(&[at_edge], ROOM, &[], 5.0)[0];
        assert!(ROOM.contains(place.low) && ROOM.contains(place.high), "{place:?}");
        let outside = label(RulerShape::Distance, &[[500.0, 100.0], [600.0, 100.0]]);
        assert!(place_labels(&[outside], ROOM, &[], 5.0)[0].low.x > 400.0);
    }

    #[test]
    fn where_nothing_is_free_the_least_is_covered() {
        let small = Area { low: DVec2::ZERO, high: DVec2::new(70.0, 20.0) };
        let one = label(RulerShape::Distance, &[[10.0, 10.0], [50.0, 10.0]]);
        let places = place_labels(&[one.clone(), one], small, &[], 2.0);
        assert!(places.iter().all(|p| small.contains(p.low) && small.contains(p.high)));
    }
}
