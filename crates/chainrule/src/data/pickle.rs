//! The one shape of Python pickle that CIFAR-10 comes in: a dictionary of a NumPy array of bytes and a list of labels.
//!
//! A pickle is a program for a small stack machine, and unpickling runs whatever it asks for. Here nothing is run: the machine
//! knows the instructions of these files (protocols 2 to 4), the three names they ask for stand for fixed values, and anything
//! else is refused. Each instruction makes at most one value and nothing is ever walked in depth, so that memory and time are
//! bounded by the number of instructions. Source: Python's `pickletools`.

use std::borrow::Cow;
use std::collections::HashMap;

/// One file's pictures and labels.
#[derive(Debug)]
pub struct Batch<'a> {
    /// The pictures' bytes, one after the other.
    pub pixels: Cow<'a, [u8]>,
    /// The pictures and the bytes of each, as the array's shape says.
    pub shape: [usize; 2],
    /// A label a picture.
    pub labels: Vec<u8>,
}

/// Instructions after which a file is given up: the official ones have 40,000.
const MOST_STEPS: usize = 1 << 18;

type Id = usize;
type Outcome<T> = Result<T, String>;

#[derive(Clone, Debug)]
enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Bytes(&'a [u8]),
    Text(&'a str),
    /// Bytes written as the characters U+0000 to U+00FF, which is how Python 3 writes bytes for Python 2.
    Latin1(&'a str),
    Name(Name),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// An array and its state, which comes after it.
    Array(Option<Id>),
    Dtype {
        bytes: bool,
    },
}

/// What a file may ask for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Name {
    Reconstruct,
    NdArray,
    Dtype,
    Encode,
}

impl Name {
    fn of(module: &str, name: &str) -> Outcome<Name> {
        Ok(match (module, name) {
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => {
                Name::Reconstruct
            }
            ("numpy", "ndarray") => Name::NdArray,
            ("numpy", "dtype") => Name::Dtype,
            ("_codecs", "encode") => Name::Encode,
            _ => {
                let asked: String = format!("{module}.{name}").chars().take(80).collect();
                return Err(format!("asks for {asked:?}, which pictures do not need"));
            }
        })
    }
}

/// Reads a file of `cifar-10-batches-py`.
///
/// # Errors
/// What was found instead, to be put after the file's name.
pub fn batch(bytes: &[u8]) -> Outcome<Batch<'_>> {
    let mut machine = Machine { rest: bytes, ..Machine::default() };
    let top = machine.run()?;
    machine.batch(top)
}

#[derive(Default)]
struct Machine<'a> {
    rest: &'a [u8],
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
}

fn short() -> String {
    "ends too early".to_string()
}

impl<'a> Machine<'a> {
    fn take(&mut self, n: usize) -> Outcome<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or_else(short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A number of `N` bytes, the smallest first.
    fn number<const N: usize>(&mut self) -> Outcome<usize> {
        let value = self.take(N)?.iter().rev().fold(0u64, |v, b| v << 8 | u64::from(*b));
        usize::try_from(value).map_err(|_| short())
    }

    /// Bytes after their length, a number of `N` bytes.
    fn counted<const N: usize>(&mut self) -> Outcome<&'a [u8]> {
        let n = self.number::<N>()?;
        self.take(n)
    }

    fn text<const N: usize>(&mut self) -> Outcome<Value<'a>> {
        let bytes = self.counted::<N>()?;
        std::str::from_utf8(bytes).map(Value::Text).map_err(|_| "holds text that is none".into())
    }

    fn line(&mut self) -> Outcome<&'a str> {
        let end = self.rest.iter().take(256).position(|b| *b == b'\n').ok_or_else(short)?;
        let line = self.take(end + 1)?;
        std::str::from_utf8(&line[..end]).map_err(|_| "holds a name that is none".into())
    }

    fn push(&mut self, value: Value<'a>) {
        self.values.push(value);
        self.stack.push(self.values.len() - 1);
    }

    fn pop(&mut self) -> Outcome<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err("takes more than it has".into());
        }
        self.stack.pop().ok_or_else(short)
    }

    fn top(&self) -> Outcome<Id> {
        self.stack.last().copied().ok_or_else(|| "takes more than it has".into())
    }

    fn since_mark(&mut self) -> Outcome<Vec<Id>> {
        let mark = self.marks.pop().ok_or("takes a mark it has not set")?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&mut self, n: usize) -> Outcome<()> {
        let mut parts = (0..n).map(|_| self.pop()).collect::<Outcome<Vec<Id>>>()?;
        parts.reverse();
        self.push(Value::Tuple(parts));
        Ok(())
    }

    /// Runs to the end and tells what is left.
    fn run(&mut self) -> Outcome<Id> {
        for _ in 0..MOST_STEPS {
            let code = self.take(1)?[0];
            if code == b'.' {
                return self.pop();
            }
            self.step(code)?;
        }
        Err(format!("has more than {MOST_STEPS} instructions"))
    }

    fn step(&mut self, code: u8) -> Outcome<()> {
        match code {
            0x80 => match self.number::<1>()? {
                2..=4 => {}
                protocol => return Err(format!("is a pickle of protocol {protocol}")),
            },
            // A frame only says how much to read at once.
            0x95 => drop(self.take(8)?),
            b'}' => self.push(Value::Dict(Vec::new())),
            b']' => self.push(Value::List(Vec::new())),
            b')' => self.push(Value::Tuple(Vec::new())),
            b'N' => self.push(Value::None),
            0x88 | 0x89 => self.push(Value::Bool(code == 0x88)),
            b'K' => self.integer::<1>()?,
            b'M' => self.integer::<2>()?,
            b'J' => {
                let value = self.number::<4>()? as u32;
                self.push(Value::Int(i64::from(value.cast_signed())));
            }
            b'U' | b'C' => self.string::<1>()?,
            b'T' | b'B' => self.string::<4>()?,
            0x8e => self.string::<8>()?,
            b'X' => self.text::<4>().map(|t| self.push(t))?,
            0x8c => self.text::<1>().map(|t| self.push(t))?,
            0x8d => self.text::<8>().map(|t| self.push(t))?,
            b'q' => self.number::<1>().and_then(|key| self.put(key))?,
            b'r' => self.number::<4>().and_then(|key| self.put(key))?,
            0x94 => self.put(self.memo.len())?,
            b'h' => self.number::<1>().and_then(|key| self.get(key))?,
            b'j' => self.number::<4>().and_then(|key| self.get(key))?,
            b'(' => self.marks.push(self.stack.len()),
            b't' => self.since_mark().map(|parts| self.push(Value::Tuple(parts)))?,
            0x85..=0x87 => self.tuple(usize::from(code - 0x84))?,
            b'a' => self.pop().and_then(|item| self.append(vec![item]))?,
            b'e' => self.since_mark().and_then(|items| self.append(items))?,
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(vec![key, value])?;
            }
            b'u' => self.since_mark().and_then(|items| self.set(items))?,
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Name(Name::of(module, name)?));
            }
            0x93 => self.stack_global()?,
            b'R' => self.call()?,
            b'b' => self.build()?,
            _ => return Err(format!("has the instruction {code:#04x}, which such files lack")),
        }
        Ok(())
    }

    fn integer<const N: usize>(&mut self) -> Outcome<()> {
        let value = self.number::<N>()?;
        self.push(Value::Int(value as i64));
        Ok(())
    }

    fn string<const N: usize>(&mut self) -> Outcome<()> {
        let bytes = self.counted::<N>()?;
        self.push(Value::Bytes(bytes));
        Ok(())
    }

    fn put(&mut self, key: usize) -> Outcome<()> {
        self.memo.insert(key, self.top()?);
        Ok(())
    }

    fn get(&mut self, key: usize) -> Outcome<()> {
        let id = *self.memo.get(&key).ok_or("remembers what it never saw")?;
        self.stack.push(id);
        Ok(())
    }

    fn append(&mut self, items: Vec<Id>) -> Outcome<()> {
        let list = self.top()?;
        match &mut self.values[list] {
            Value::List(all) => all.extend(items),
            _ => return Err("appends to what is no list".into()),
        }
        Ok(())
    }

    fn set(&mut self, items: Vec<Id>) -> Outcome<()> {
        let dict = self.top()?;
        match &mut self.values[dict] {
            Value::Dict(all) => all.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1]))),
            _ => return Err("sets a key of what is no dictionary".into()),
        }
        Ok(())
    }

    fn stack_global(&mut self) -> Outcome<()> {
        let (name, module) = (self.pop()?, self.pop()?);
        let (Value::Text(name), Value::Text(module)) = (&self.values[name], &self.values[module])
        else {
            return Err("asks for something without a name".into());
        };
        let name = Name::of(module, name)?;
        self.push(Value::Name(name));
        Ok(())
    }

    /// A call of one of the names: what it would return.
    fn call(&mut self) -> Outcome<()> {
        let (args, called) = (self.pop()?, self.pop()?);
        let (Value::Name(name), Value::Tuple(args)) = (&self.values[called], &self.values[args])
        else {
            return Err("calls what cannot be called".into());
        };
        let arg = |i: usize| args.get(i).map(|id| &self.values[*id]);
        let made = match (name, arg(0), arg(1)) {
            (Name::Encode, Some(Value::Text(text)), Some(Value::Text("latin1"))) => {
                Value::Latin1(text)
            }
            (Name::Reconstruct, Some(Value::Name(Name::NdArray)), _) => Value::Array(None),
            (Name::Dtype, Some(kind), _) => {
                Value::Dtype { bytes: ["u1", "uint8"].iter().any(|name| is(kind, name)) }
            }
            _ => return Err("calls a function with what it does not take".into()),
        };
        self.push(made);
        Ok(())
    }

    fn build(&mut self) -> Outcome<()> {
        let state = self.pop()?;
        let built = self.top()?;
        match &mut self.values[built] {
            Value::Array(slot @ None) => *slot = Some(state),
            // A byte has no order and no fields: its state says nothing.
            Value::Dtype { .. } => {}
            _ => return Err("gives a state to what has none".into()),
        }
        Ok(())
    }

    /// The batch that a dictionary is.
    fn batch(&self, top: Id) -> Outcome<Batch<'a>> {
        let Value::Dict(pairs) = &self.values[top] else {
            return Err("is no pickled dictionary".into());
        };
        let find = |name: &str| {
            let pair = pairs.iter().find(|(key, _)| is(&self.values[*key], name));
            pair.map(|(_, value)| &self.values[*value])
                .ok_or(format!("has no {name:?} in its dictionary"))
        };
        let (pixels, shape) = self.array(find("data")?)?;
        let Value::List(list) = find("labels")? else {
            return Err("has labels that are no list".into());
        };
        let label = |(i, id): (usize, &Id)| match self.values[*id] {
            Value::Int(label) => {
                u8::try_from(label).map_err(|_| format!("record {i} has the label {label}"))
            }
            _ => Err(format!("record {i} has a label that is no number")),
        };
        let labels = list.iter().enumerate().map(label).collect::<Outcome<Vec<u8>>>()?;
        if labels.len() != shape[0] {
            return Err(format!("has {} labels for {} pictures", labels.len(), shape[0]));
        }
        Ok(Batch { pixels, shape, labels })
    }

    /// An array of two axes of bytes.
    fn array(&self, value: &Value<'a>) -> Outcome<(Cow<'a, [u8]>, [usize; 2])> {
        let Value::Array(Some(state)) = value else {
            return Err("has data that are no array".into());
        };
        let Value::Tuple(state) = &self.values[*state] else {
            return Err("has an array without a state".into());
        };
        let state: Vec<&Value> = state.iter().map(|id| &self.values[*id]).collect();
        let [_, Value::Tuple(shape), Value::Dtype { bytes }, fortran, content] = state[..] else {
            return Err("has an array whose state is another".into());
        };
        if !bytes {
            return Err("has an array of something else than bytes".into());
        }
        if !matches!(fortran, Value::Bool(false) | Value::Int(0)) {
            return Err("has an array in column order".into());
        }
        let axis = |id: &Id| match self.values[*id] {
            Value::Int(n) => usize::try_from(n).ok(),
            _ => None,
        };
        let axes: Vec<Option<usize>> = shape.iter().map(axis).collect();
        let [Some(rows), Some(columns)] = axes[..] else {
            return Err("has an array that has not two axes".into());
        };
        let content: Cow<[u8]> = match content {
            Value::Bytes(bytes) => Cow::Borrowed(bytes),
            Value::Latin1(text) => Cow::Owned(latin1(text)?),
            _ => return Err("has an array without bytes".into()),
        };
        if Some(content.len()) != rows.checked_mul(columns) {
            let found = content.len();
            return Err(format!("has an array of {rows} x {columns} with {found} bytes"));
        }
        Ok((content, [rows, columns]))
    }
}

/// The bytes that characters up to U+00FF stand for.
fn latin1(text: &str) -> Outcome<Vec<u8>> {
    let byte = |c: char| u8::try_from(u32::from(c)).map_err(|_| "has bytes above 255".to_string());
    text.chars().map(byte).collect()
}

/// Whether a value is this word, as Python 2 or 3 writes it.
fn is(value: &Value, word: &str) -> bool {
    match value {
        Value::Bytes(bytes) => *bytes == word.as_bytes(),
        Value::Text(text) | Value::Latin1(text) => *text == word,
        _ => false,
    }
}
