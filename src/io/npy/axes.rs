//! What the axes of a .npy array are: which are z, y, x, which channels and times.

use super::header::NpyHeader;
use crate::io::choice::{AxisOrder, ReadOptions};
use crate::io::raw::RawLayout;

/// How the axes were taken.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axes {
    /// What the three stored axes of the array are.
    pub(super) order: AxisOrder,
    /// Where the chosen part lies; offset and type are left to the caller.
    pub(super) layout: RawLayout,
    pub(super) n_channels: usize,
    pub(super) channel_names: Vec<String>,
    pub(super) n_times: usize,
    /// What was assumed, for the user.
    pub(super) said: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Time,
    Channel,
    /// z, y or x.
    Space,
}

impl Axes {
    /// The axes of an array, of which `options` choose; or why they make no volume.
    pub(super) fn of(npy: &NpyHeader, options: &ReadOptions) -> Result<Self, String> {
        let (roles, said) = roles_of(npy, options)?;
        let side_of = |wanted: Role| {
            roles.iter().filter(|(role, _)| *role == wanted).map(|(_, side)| *side).product::<usize>()
        };
        let (n_times, n_waves) = (side_of(Role::Time), side_of(Role::Channel));
        let n_channels = n_waves.checked_mul(npy.n_parts).ok_or("more channels than can be counted")?;
        let channel = options.channel.unwrap_or(0).min(n_channels - 1);
        let time = options.time.unwrap_or(0).min(n_times - 1);
        let mut stored = roles;
        if npy.fortran {
            stored.reverse();
        }
        let first_space = stored.iter().position(|(role, _)| *role == Role::Space).unwrap_or(0);
        let (before, rest) = stored.split_at(first_space);
        let (space, behind) = rest.split_at(rest.len().min(3));
        let at = |axes: &[(Role, usize)]| {
            axes.iter().fold(0, |at, (role, side)| {
                at * side + if *role == Role::Time { time } else { channel / npy.n_parts }
            })
        };
        let n = |axes: &[(Role, usize)]| axes.iter().try_fold(1usize, |n, (_, side)| n.checked_mul(*side));
        let too_many = || format!("a .npy array of {:?} values is beyond 64 bits (2^64)", npy.sides);
        let shape: [usize; 3] = std::array::from_fn(|i| space.get(i).map_or(1, |(_, side)| *side));
        let plain = RawLayout::plain(0, npy.stored, npy.big_endian, shape);
        let layout = RawLayout {
            n_components: n(behind).and_then(|n| n.checked_mul(npy.n_parts)).ok_or_else(too_many)?,
            component: at(behind) * npy.n_parts + channel % npy.n_parts,
            first: (at(before) as u64).checked_mul(shape[0] as u64).ok_or_else(too_many)?,
            n_sections: n(before)
                .and_then(|n| (n as u64).checked_mul(shape[0] as u64))
                .ok_or_else(too_many)?,
            ..plain
        };
        let backwards = AxisOrder::from_axes([2, 1, 0]).unwrap_or(AxisOrder::ZYX);
        let order = if npy.fortran { backwards } else { AxisOrder::ZYX };
        Ok(Self { order, layout, n_channels, channel_names: names_of(npy, n_waves), n_times, said })
    }
}

/// What each axis is, in NumPy's order; three of them are space, one after the other.
fn roles_of(npy: &NpyHeader, options: &ReadOptions) -> Result<(Vec<(Role, usize)>, Option<String>), String> {
    let mut sides = npy.sides.clone();
    while sides.len() > 5 && sides[0] == 1 {
        sides.remove(0);
    }
    // A last side of 1 is one channel behind z, y, x, not a picture of one column.
    let n_single =
        sides.iter().rev().take_while(|side| **side == 1).count().min(sides.len().saturating_sub(3));
    sides.truncate(sides.len() - n_single);
    let single = (n_single > 0).then(|| {
        format!("the array {:?} was read as {sides:?}: sides of 1 behind x were left out", npy.sides)
    });
    let (roles, said) = roles_among(sides, npy, options)?;
    let said: Vec<String> = single.into_iter().chain(said).collect();
    Ok((roles, (!said.is_empty()).then(|| said.join("; "))))
}

/// As [`roles_of`], of sides that are not 1 at the end.
fn roles_among(
    mut sides: Vec<usize>,
    npy: &NpyHeader,
    options: &ReadOptions,
) -> Result<(Vec<(Role, usize)>, Option<String>), String> {
    let n = sides.len();
    let said = match n {
        0 => Some("a single number: read as a picture of 1 × 1 pixel".to_owned()),
        1 => Some(format!("one axis of {}: read as a picture of one row", sides[0])),
        _ => None,
    };
    while sides.len() < 3 {
        sides.insert(0, 1);
    }
    let colours = |side: usize| (3..=4).contains(&side);
    let roles = match *sides.as_slice() {
        [_, _, _] => vec![Role::Space; 3],
        [first, y, x, last] if colours(last) && !colours(first) && y > 4 && x > 4 => {
            let said = format!(
                "four axes, the last of {last}: taken as colours (channels) of a volume of {first} × {y} × {x}"
            );
            let roles = [Role::Space, Role::Space, Role::Space, Role::Channel];
            return Ok((roles.into_iter().zip(sides.iter().copied()).collect(), Some(said)));
        }
        [1, planes, y, x, last] if colours(last) && !colours(planes) && y > 4 && x > 4 => {
            let said = format!(
                "five axes, the last of {last}: taken as colours (channels) of a volume of {planes} × {y} × {x}"
            );
            let roles = [Role::Time, Role::Space, Role::Space, Role::Space, Role::Channel];
            return Ok((roles.into_iter().zip(sides.iter().copied()).collect(), Some(said)));
        }
        [_, _, _, _] if options.time.is_some() && options.channel.is_none() => {
            vec![Role::Time, Role::Space, Role::Space, Role::Space]
        }
        [_, _, _, _] => vec![Role::Channel, Role::Space, Role::Space, Role::Space],
        [_, _, _, _, _] => vec![Role::Time, Role::Channel, Role::Space, Role::Space, Role::Space],
        _ => {
            return Err(format!(
                "a .npy array of shape {:?}, expected 3 axes (z, y, x), at most 5 (times, channels, z, y, x)",
                npy.sides
            ));
        }
    };
    let colour_planes = n == 3 && colours(sides[2]) && sides[0] > 16 && sides[1] > 16;
    let said = said.or_else(|| {
        colour_planes.then(|| {
            format!(
                "the last axis has {} values and was taken as x; if they are colours, save one of them alone",
                sides[2]
            )
        })
    });
    Ok((roles.into_iter().zip(sides).collect(), said))
}

/// Names of the parts of complex numbers, by channel.
fn names_of(npy: &NpyHeader, n_waves: usize) -> Vec<String> {
    if npy.n_parts == 1 {
        return Vec::new();
    }
    (0..n_waves.min(1000))
        .flat_map(|wave| {
            ["real", "imaginary"]
                .map(|part| if n_waves == 1 { part.to_owned() } else { format!("{wave}, {part}") })
        })
        .collect()
}
