//! The seeded random generator. The same seed and calls give the same numbers.

/// SplitMix64: small, and good enough for ids and shuffles.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed ^ 0x5DEE_CE66_D1CE_4E5B)
    }

    /// A separate generator, so that content and ids do not depend on each other.
    pub(crate) fn fork(&mut self) -> Self {
        Self::new(self.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `n`; 0 for `n` = 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next().checked_rem(n).unwrap_or(0)
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        let at = self.index(from.len());
        from.get(at).copied().unwrap_or("")
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.index(i + 1);
            items.swap(i, j);
        }
    }

    pub(crate) fn text(&mut self, len: usize) -> String {
        (0..len).map(|_| char::from(URL_SAFE.get(self.index(64)).copied().unwrap_or(b'A'))).collect()
    }

    pub(crate) fn guid(&mut self) -> String {
        guid_of(self.next(), self.next())
    }
}

/// A version 4 GUID from two numbers.
pub(crate) fn guid_of(a: u64, b: u64) -> String {
    let hex = format!("{a:016x}{b:016x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or("").to_owned();
    format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A hash of a string: FNV-1a, mixed.
pub(crate) fn hash(text: &str) -> u64 {
    mix(text.bytes().fold(0xCBF2_9CE4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3)))
}
