//! A replicated calculator: each account has a register, and each transaction changes it by one step.
//!
//! Numbers are in fixed point, millionths in an `i64`. Floating-point numbers have no place in a replicated service: compilers, processors
//! and libraries may round the same sum differently, and one differing bit ends the agreement of the validators on the state. They have no
//! canonical encoding here, and the lint below keeps them out of the code.

#![deny(clippy::float_arithmetic)]

use quorate_app::{Application, Call, Map, Rules, State, StateRead};
use quorate_types::{
    failure::{Code, Failure},
    ids::Address,
};
use serde::{Deserialize, Serialize};

/// Each account's register.
pub const REGISTERS: Map<Address, Fixed> = Map::new(b'r');

/// Millionths: 1.5 is 1500000.
pub type Fixed = i64;

/// One.
pub const ONE: Fixed = 1_000_000;

/// A register for each account, in fixed point.
#[derive(Debug)]
pub struct Calculator;

/// One step on the sender's register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Sets the register.
    Set(Fixed),
    /// Adds to it.
    Add(Fixed),
    /// Subtracts from it.
    Subtract(Fixed),
    /// Multiplies it, rounding toward zero.
    Multiply(Fixed),
    /// Divides it, rounding toward zero.
    Divide(Fixed),
}

fn calculate(register: Fixed, step: Step) -> Result<Fixed, Failure> {
    let overflow = || Failure::new(Code::new("overflow"), &[]);
    // The product of two 64-bit numbers fits into 128 bits.
    let narrow = |wide: Option<i128>| wide.and_then(|wide| Fixed::try_from(wide).ok()).ok_or_else(overflow);
    let (wide, one) = (i128::from(register), i128::from(ONE));
    match step {
        Step::Set(number) => Ok(number),
        Step::Add(number) => register.checked_add(number).ok_or_else(overflow),
        Step::Subtract(number) => register.checked_sub(number).ok_or_else(overflow),
        Step::Multiply(number) => narrow(wide.checked_mul(i128::from(number)).and_then(|product| product.checked_div(one))),
        Step::Divide(0) => Err(Failure::new(Code::new("division-by-zero"), &[])),
        Step::Divide(number) => narrow(wide.checked_mul(one).and_then(|product| product.checked_div(i128::from(number)))),
    }
}

impl Application for Calculator {
    const NAME: &'static str = "calculator";
    const VERSION: u32 = 1;
    type Settings = ();
    type Operation = Step;
    type Answer = Fixed;
    /// The account whose register is read.
    type Query = Address;
    type Found = Fixed;

    fn execute(&self, call: &Call<'_, ()>, state: &mut State<'_>, step: Step) -> Result<Fixed, Failure> {
        let result = calculate(REGISTERS.get(state, &call.sender).unwrap_or(0), step)?;
        REGISTERS.put(state, &call.sender, &result);
        Ok(result)
    }

    fn query(&self, _: &Rules<'_, ()>, state: &dyn StateRead, whose: Address) -> Result<Fixed, Failure> {
        Ok(REGISTERS.get(state, &whose).unwrap_or(0))
    }

    fn sample(&self, number: u64, _: &[Address]) -> Step {
        if number.is_multiple_of(2) { Step::Add(ONE) } else { Step::Subtract(ONE) }
    }

    fn explain(&self, failure: &Failure) -> Option<String> {
        match failure.code() {
            "division-by-zero" => Some("no number can be divided by zero".into()),
            "overflow" => Some("the result is beyond 9223372036854.775807".into()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_exact_and_never_leave_the_range() {
        let table = [
            (0, Step::Set(-5), Ok(-5)),
            (ONE, Step::Add(ONE / 2), Ok(1_500_000)),
            (3 * ONE, Step::Multiply(ONE / 3), Ok(999_999)),
            (ONE, Step::Divide(3 * ONE), Ok(333_333)),
            (-ONE, Step::Divide(3 * ONE), Ok(-333_333)),
            (Fixed::MAX, Step::Add(1), Err("overflow")),
            (Fixed::MIN, Step::Subtract(1), Err("overflow")),
            (Fixed::MAX, Step::Multiply(Fixed::MAX), Err("overflow")),
            (Fixed::MIN, Step::Divide(-1), Err("overflow")),
            (ONE, Step::Divide(0), Err("division-by-zero")),
        ];
        for (register, step, expected) in table {
            let result = calculate(register, step).map_err(|failure| failure.code().to_owned());
            assert_eq!(result, expected.map_err(str::to_owned), "{register} {step:?}");
        }
    }
}
