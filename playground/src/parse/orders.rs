//! Parses the arguments of `tx`.

use quorate_builtin::operation::KvAction;

use super::{Act, Command, Refusal, reader::Reader};
use crate::{cast::check_name, client::Order, help::nearest};

impl Reader<'_> {
    pub(super) fn tx(&self) -> Result<Command, Refusal> {
        let mut words = self.words.to_vec();
        let mut option = |name: &str| -> Option<String> {
            let at = words.len().checked_sub(2)?;
            if words.get(at).is_some_and(|word| word == name) {
                words.truncate(at.saturating_add(2));
                let value = words.pop();
                words.pop();
                value
            } else {
                None
            }
        };
        let at = option("at").map(|node| self.seat(&node)).transpose()?;
        let signer = option("as");
        // Decided by the first word only: a value may contain `=` too.
        let listed = words.first().is_some_and(|word| word.contains('='));
        let order = if listed { self.listed(&words)? } else { self.spoken(&words, signer.as_deref())? };
        Ok(Command::Act(Act::Tx(order, at)))
    }

    /// `account=alice,amount=100,operation=deposit`.
    fn listed(&self, words: &[String]) -> Result<Order, Refusal> {
        let (mut account, mut amount, mut operation) = (None, None, None);
        for pair in words.iter().flat_map(|word| word.split(',')).filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("account", name)) => account = Some(self.account(name)?),
                Some(("amount", number)) => amount = Some(self.amount(number)?),
                Some(("operation", name)) => operation = Some(name.to_owned()),
                _ => return self.wrong(format!("{pair:?} is none of account=, amount=, operation=")),
            }
        }
        let (Some(account), Some(amount), Some(operation)) = (account, amount, operation) else {
            return self.wrong("account=, amount= and operation= are all needed");
        };
        match operation.as_str() {
            "deposit" => Ok(Order::Deposit { account, amount }),
            "withdraw" => Ok(Order::Withdraw { account, amount }),
            other => self.wrong(format!("operation={other} is unknown; use deposit or withdraw")),
        }
    }

    /// `deposit alice 100`.
    fn spoken(&self, words: &[String], signer: Option<&str>) -> Result<Order, Refusal> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if let Some(order) = self.bank(&words)? {
            return if signer.is_some() {
                self.wrong("`as` is only for keys; a transfer is signed by the account that pays")
            } else {
                Ok(order)
            };
        }
        let bytes = |value: &str| value.as_bytes().to_vec();
        let index = |word: &str| {
            word.parse::<u32>().map_or_else(|_| self.wrong(format!("{word:?} is not a position; use a whole number of bytes")), Ok)
        };
        let (key, action) = match words.as_slice() {
            ["put", key, value] => (*key, KvAction::Put(bytes(value))),
            ["append", key, value] => (*key, KvAction::Append(bytes(value))),
            ["slice", key, start, end] => (*key, KvAction::Slice { start: index(start)?, end: index(end)? }),
            ["get", key] => (*key, KvAction::Get),
            ["delete", key] => (*key, KvAction::Delete),
            [] => return self.wrong("name an operation"),
            [verb, ..] => {
                let verbs = ["deposit", "withdraw", "transfer", "put", "append", "slice", "get", "delete"];
                let near = nearest(verb, verbs)
                    .map_or_else(|| "`help tx` lists the operations".into(), |near| format!("`help tx` shows how to write {near}"));
                return Err(Refusal { message: format!("{:?} is not a transaction", words.join(" ")), hint: Some(near) });
            }
        };
        let account = self.account(signer.unwrap_or("client"))?;
        Ok(Order::Kv { account, key: key.to_owned(), action })
    }

    fn bank(&self, words: &[&str]) -> Result<Option<Order>, Refusal> {
        Ok(Some(match words {
            ["deposit", account, amount] => Order::Deposit { account: self.account(account)?, amount: self.amount(amount)? },
            ["withdraw", account, amount] => Order::Withdraw { account: self.account(account)?, amount: self.amount(amount)? },
            ["transfer", from, to, amount] => {
                Order::Transfer { from: self.account(from)?, to: self.account(to)?, amount: self.amount(amount)? }
            }
            _ => return Ok(None),
        }))
    }

    fn account(&self, name: &str) -> Result<String, Refusal> {
        check_name(name).map_or_else(|error| self.wrong(error), |()| Ok(name.to_owned()))
    }

    fn amount(&self, word: &str) -> Result<u64, Refusal> {
        word.parse().map_or_else(|_| self.wrong(format!("{word:?} is not an amount; use a whole number")), Ok)
    }
}
