//! Copies a box from one array of bytes to another; both are stored with the last axis fastest.

/// An array of bytes by shape, and the corner of a box in it.
pub(super) struct Corner<'a> {
    /// Sides of the whole array.
    pub(super) shape: &'a [u64],
    /// First element of the box.
    pub(super) start: &'a [u64],
}

/// Copies a box of `count` elements of `size` bytes; false where it does not lie in both arrays.
pub(super) fn copy_box(
    from: &[u8],
    source: &Corner<'_>,
    into: &mut [u8],
    target: &Corner<'_>,
    count: &[u64],
    size: usize,
) -> bool {
    let n_axes = count.len();
    if count.contains(&0) {
        return true;
    }
    // Trailing axes that are whole in both arrays are one run of bytes.
    let mut outer = n_axes.saturating_sub(1);
    while outer > 0 && source.shape[outer] == count[outer] && target.shape[outer] == count[outer] {
        outer -= 1;
    }
    let run = count[outer.min(n_axes)..].iter().product::<u64>() as usize * size;
    let (from_steps, into_steps) = (steps(source.shape, size), steps(target.shape, size));
    let corner = |corner: &Corner<'_>, steps: &[usize]| -> usize {
        corner.start.iter().zip(steps).map(|(at, step)| *at as usize * step).sum()
    };
    let (from_at, into_at) = (corner(source, &from_steps), corner(target, &into_steps));
    let mut index = vec![0; outer];
    loop {
        let offset = |steps: &[usize]| -> usize { index.iter().zip(steps).map(|(i, step)| i * step).sum() };
        let (a, b) = (from_at + offset(&from_steps), into_at + offset(&into_steps));
        let (Some(read), Some(written)) = (from.get(a..a + run), into.get_mut(b..b + run)) else {
            return false;
        };
        written.copy_from_slice(read);
        let mut axis = outer;
        loop {
            if axis == 0 {
                return true;
            }
            axis -= 1;
            index[axis] += 1;
            if (index[axis] as u64) < count[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
}

/// Bytes from one element to the next along every axis.
fn steps(shape: &[u64], size: usize) -> Vec<usize> {
    let mut steps = vec![size; shape.len()];
    for axis in (1..shape.len()).rev() {
        steps[axis - 1] = steps[axis].saturating_mul(shape[axis] as usize);
    }
    steps
}

/// Fills with copies of one element.
pub(super) fn fill(into: &mut [u8], element: &[u8]) {
    if element.iter().all(|byte| *byte == 0) {
        into.fill(0);
    } else {
        into.chunks_mut(element.len().max(1)).for_each(|to| to.copy_from_slice(&element[..to.len()]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_goes_from_one_place_to_another() {
        let from: Vec<u8> = (0..60).collect();
        let mut into = vec![0; 2 * 3 * 3];
        let (source, target) = ([3, 4, 5], [2, 3, 3]);
        let source = Corner { shape: &source, start: &[1, 1, 2] };
        let target = Corner { shape: &target, start: &[0, 1, 0] };
        assert!(copy_box(&from, &source, &mut into, &target, &[2, 2, 3], 1));
        for (z, y, x) in [(0, 0, 0), (1, 1, 2), (0, 1, 1)] {
            assert_eq!(into[z * 9 + (y + 1) * 3 + x], from[(z + 1) * 20 + (y + 1) * 5 + x + 2]);
        }
        assert_eq!(into[..3], [0, 0, 0]);
        assert!(!copy_box(&from, &source, &mut into, &target, &[3, 2, 3], 1), "beyond the end");
    }
}
