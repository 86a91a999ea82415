//! What is written can be read: a decoder of records and of the wire format that shares nothing with the writer.

use super::*;

/// A field of a message: its number, and its value.
#[derive(Clone, Debug, PartialEq)]
enum Field {
    Varint(u64, u64),
    Fixed64(u64, u64),
    Bytes(u64, Vec<u8>),
    Fixed32(u64, u32),
}

/// CRC-32C one bit at a time.
fn slow_crc(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        for bit in 0..8 {
            let high = (crc ^ u32::from(byte >> bit)) & 1;
            crc >>= 1;
            if high == 1 {
                crc ^= 0x82F6_3B78;
            }
        }
    }
    !crc
}

fn unmask(bytes: &[u8]) -> u32 {
    let masked = u32::from_le_bytes(bytes.try_into().unwrap()).wrapping_sub(0xA282_EAD8);
    masked.rotate_left(15)
}

fn records(mut file: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while !file.is_empty() {
        let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        assert_eq!(unmask(&file[8..12]), slow_crc(&file[..8]));
        let data = &file[12..12 + length];
        assert_eq!(unmask(&file[12 + length..16 + length]), slow_crc(data));
        found.push(data.to_vec());
        file = &file[16 + length..];
    }
    found
}

fn read_varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn fields(mut bytes: &[u8]) -> Vec<Field> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = read_varint(&mut bytes);
        let number = key >> 3;
        let mut take = |n: usize| {
            let (part, rest) = bytes.split_at(n);
            bytes = rest;
            part
        };
        found.push(match key & 7 {
            0 => Field::Varint(number, read_varint(&mut bytes)),
            1 => Field::Fixed64(number, u64::from_le_bytes(take(8).try_into().unwrap())),
            5 => Field::Fixed32(number, u32::from_le_bytes(take(4).try_into().unwrap())),
            2 => {
                let length = read_varint(&mut bytes) as usize;
                let (part, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(number, part.to_vec())
            }
            wire => panic!("wire type {wire}"),
        });
    }
    found
}

fn inner(fields: &[Field], wanted: u64) -> Vec<u8> {
    let of = |f: &Field| match f {
        Field::Bytes(number, bytes) if *number == wanted => Some(bytes.clone()),
        _ => None,
    };
    fields.iter().find_map(of).unwrap_or_else(|| panic!("no field {wanted} in {fields:?}"))
}

/// The value within an event: its step, its tag, its other fields.
fn value(event: &[u8]) -> (u64, String, Vec<Field>) {
    let event = fields(event);
    let Some(Field::Varint(2, step)) = event.get(1) else { panic!("no step in {event:?}") };
    let value = fields(&inner(&fields(&inner(&event, 5)), 1));
    let tag = String::from_utf8(inner(&value, 1)).unwrap();
    (*step, tag, value[1..].to_vec())
}

fn doubles(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
}

fn written(fill: impl FnOnce(&mut EventWriter)) -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(dir.path(), 0).unwrap();
    fill(&mut writer);
    writer.flush().unwrap();
    let name = writer.path().file_name().unwrap().to_str().unwrap().to_string();
    assert!(name.starts_with("events.out.tfevents."), "{name}");
    records(&std::fs::read(writer.path()).unwrap())
}

#[test]
fn crc_agrees_with_the_check_value_and_with_rfc_3720() {
    assert_eq!(crc32c(b"123456789"), 0xE306_9283);
    assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
    assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
    assert_eq!(slow_crc(b"123456789"), 0xE306_9283);
}

#[test]
fn scalars_images_and_histograms_come_back() {
    let png = vec![7u8; 300];
    let events = written(|w| {
        w.scalar("loss/train", 1, 2.5).unwrap();
        w.scalar("loss/train", 1 << 40, f64::NAN).unwrap();
        w.image("filters", 3, 640, 200, &png).unwrap();
        w.histogram("weights/W1", 300, &[-1.0, 0.0, 0.0, 3.0, f64::INFINITY]).unwrap();
    });
    assert_eq!(events.len(), 5);
    assert_eq!(inner(&fields(&events[0]), 3), b"brain.Event:2");
    assert!(
        matches!(fields(&events[0])[0], Field::Fixed64(1, t) if f64::from_bits(t) > 1.6e9),
        "wall time"
    );
    let scalar = |v: f32| vec![Field::Fixed32(2, v.to_bits())];
    assert_eq!(value(&events[1]), (1, "loss/train".into(), scalar(2.5)));
    assert_eq!(value(&events[2]).0, 1 << 40);
    let (step, tag, image) = value(&events[3]);
    assert_eq!((step, tag.as_str()), (3, "filters"));
    let image = fields(&inner(&image, 4));
    assert_eq!(image[..3], [Field::Varint(1, 200), Field::Varint(2, 640), Field::Varint(3, 3)]);
    assert_eq!(inner(&image, 4), png);
    let histo = fields(&inner(&value(&events[4]).2, 5));
    let sums = [-1.0, 3.0, 4.0, 2.0, 10.0f64];
    for (i, (field, want)) in histo.iter().zip(sums).enumerate() {
        assert_eq!(*field, Field::Fixed64(1 + i as u64, want.to_bits()));
    }
    let (limits, counts) = (doubles(&inner(&histo, 6)), doubles(&inner(&histo, 7)));
    assert_eq!((limits.len(), limits[63], counts.len()), (BUCKETS, 3.0, BUCKETS));
    assert_eq!(
        (counts[0], counts[16], counts[63], counts.iter().sum::<f64>()),
        (1.0, 2.0, 1.0, 4.0)
    );
}

#[test]
fn histograms_of_odd_values_have_no_odd_buckets() {
    assert!(Histogram::of(&[]).is_none() && Histogram::of(&[f64::NAN]).is_none());
    let same = Histogram::of(&[4.0; 9]).unwrap();
    assert_eq!((same.limits, same.counts, same.sum), (vec![4.0], vec![9], 36.0));
    let wide = Histogram::of(&[-f64::MAX, f64::MAX]).unwrap();
    assert!(wide.limits.windows(2).all(|pair| pair[0] <= pair[1]), "{:?}", wide.limits);
    assert_eq!(wide.counts.iter().sum::<u64>(), 2);
    let near = Histogram::of(&[1.0, 1.0 + f64::EPSILON]).unwrap();
    assert_eq!(near.counts.iter().sum::<u64>(), 2);
}

#[test]
fn a_file_that_goes_on_says_from_where() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(dir.path(), 40).unwrap();
    writer.flush().unwrap();
    let events = records(&std::fs::read(writer.path()).unwrap());
    let start = fields(&events[1]);
    assert_eq!(start[1], Field::Varint(2, 40));
    assert_eq!(inner(&start, 7), [8, 1], "a session log that says START");
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let error = EventWriter::create(&dir.path().join("none"), 0).unwrap_err().to_string();
    assert!(error.starts_with("cannot create") && error.contains("none"), "{error}");
}
