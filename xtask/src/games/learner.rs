//! What anybody could learn from examples: a linear classifier, and a memory of what was seen.

use std::collections::BTreeMap;

const EPOCHS: usize = 8;
const RATE: f64 = 0.02;
/// Keeps weights that nothing speaks for near zero.
const DECAY: f64 = 1e-4;

/// Logistic regression by stochastic gradient descent over standardised features.
#[derive(Debug)]
pub(super) struct Linear {
    /// Of each feature: its mean and deviation among the examples, its weight.
    features: Vec<(f64, f64, f64)>,
    bias: f64,
}

impl Linear {
    pub(super) fn learn(examples: &[(&[f64], bool)]) -> Self {
        let width = examples.first().map_or(0, |(features, _)| features.len());
        let mut learner = Self { features: vec![(0.0, 1.0, 0.0); width], bias: 0.0 };
        learner.standardise(examples);
        for epoch in 1..=EPOCHS {
            let step = RATE / epoch as f64;
            for (features, answer) in examples {
                let error = f64::from(u8::from(*answer)) - learner.chance(features);
                learner.bias += step * error;
                for ((mean, deviation, weight), value) in learner.features.iter_mut().zip(*features)
                {
                    let value = (value - *mean) / *deviation;
                    *weight += step * (error * value - DECAY * *weight);
                }
            }
        }
        learner
    }

    fn standardise(&mut self, examples: &[(&[f64], bool)]) {
        let count = examples.len().max(1) as f64;
        for (at, (mean, deviation, _)) in self.features.iter_mut().enumerate() {
            let column = || examples.iter().filter_map(|(features, _)| features.get(at));
            *mean = column().sum::<f64>() / count;
            let variance = column().map(|value| (value - *mean).powi(2)).sum::<f64>() / count;
            *deviation = if variance > 0.0 { variance.sqrt() } else { 1.0 };
        }
    }

    fn chance(&self, features: &[f64]) -> f64 {
        let terms = self.features.iter().zip(features);
        let sum: f64 =
            terms.map(|((mean, dev, weight), value)| weight * (value - mean) / dev).sum();
        1.0 / (1.0 + (-self.bias - sum).exp())
    }

    pub(super) fn answer(&self, features: &[f64]) -> bool {
        self.chance(features) > 0.5
    }
}

/// Remembers how often each answer went with exactly these numbers: the best that can be made of
/// what takes few values.
#[derive(Debug, Default)]
pub(super) struct Memory(BTreeMap<Vec<usize>, i64>);

impl Memory {
    pub(super) fn learn<'a>(examples: impl Iterator<Item = (&'a Vec<usize>, bool)>) -> Self {
        let mut memory = Self::default();
        for (numbers, answer) in examples {
            *memory.0.entry(numbers.clone()).or_insert(0) += if answer { 1 } else { -1 };
        }
        memory
    }

    pub(super) fn answer(&self, numbers: &Vec<usize>) -> bool {
        self.0.get(numbers).is_some_and(|balance| *balance > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn what_can_be_learnt_is_learnt() {
        let mut random = Random::new(1);
        let mut examples = Vec::new();
        for number in 0..2_000u32 {
            let answer = number.is_multiple_of(2);
            let bytes = random.bytes(8);
            let mut features: Vec<f64> = bytes.iter().map(|byte| f64::from(*byte)).collect();
            features[3] += if answer { 60.0 } else { 0.0 };
            examples.push((features, answer));
        }
        let borrowed: Vec<_> = examples.iter().map(|(f, a)| (f.as_slice(), *a)).collect();
        let (learnt, asked) = borrowed.split_at(1_000);
        let learner = Linear::learn(learnt);
        let right = asked.iter().filter(|(f, answer)| learner.answer(f) == *answer).count();
        assert!(right > 580, "{right} of 1000");
    }

    #[test]
    fn numbers_are_remembered() {
        let (low, high) = (vec![1, 2], vec![1, 3]);
        let examples = [(&low, true), (&low, true), (&low, false), (&high, false)];
        let memory = Memory::learn(examples.into_iter());
        assert!(memory.answer(&low) && !memory.answer(&high) && !memory.answer(&vec![9]));
    }
}
