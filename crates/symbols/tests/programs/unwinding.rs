//! Values dropped at the ends of scopes, which unwinding would drop too.
use std::collections::HashMap;

fn parse(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("bad {text}"))
}

fn total(lines: &[&str]) -> Result<u64, String> {
    let mut seen = HashMap::new();
    let mut sum = 0;
    for line in lines {
        let name = line.to_string();
        let value = parse(line)?;
        seen.insert(name, value);
        sum += value;
        println!("{line}: {sum}");
    } // @mark loop end
    let names: Vec<String> = seen.keys().cloned().collect();
    println!("{} names", names.len());
    Ok(sum)
} // @mark drops

fn main() {
    let result = total(&["1", "2", "3"]);
    println!("{result:?}");
} // @mark main end
