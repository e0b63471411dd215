//! What a kernel module says of itself, and the order in which modules must be loaded.
//!
//! A module has a section `.modinfo` of NUL-terminated `key=value` strings; `depends` lists the modules that must be
//! there before it, `softdep=pre:` those that should. The section is found by its strings rather than through the
//! ELF headers: the keys are unmistakable, and the packages carry no `modules.dep`.

use std::collections::BTreeMap;

/// The values of a key in a module's bytes.
pub(crate) fn values(module: &[u8], key: &str) -> Vec<String> {
    let wanted = format!("{key}=");
    module
        .split(|&byte| byte == 0)
        .filter_map(|string| string.strip_prefix(wanted.as_bytes()))
        .filter(|value| value.iter().all(|byte| (0x20..0x7F).contains(byte)))
        .map(|value| String::from_utf8_lossy(value).into_owned())
        .collect()
}

/// What must (or, for `softdep`, should) be loaded before a module.
pub(crate) fn dependencies(module: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    for list in values(module, "depends") {
        names.extend(list.split(',').filter(|name| !name.is_empty()).map(plain));
    }
    for soft in values(module, "softdep") {
        if let Some(before) = soft.strip_prefix("pre:") {
            let before = before.split("post:").next().unwrap_or_default();
            names.extend(before.split_whitespace().map(plain));
        }
    }
    names
}

/// Modules are called with `_` and with `-` alike.
pub(crate) fn plain(name: &str) -> String {
    name.replace('-', "_")
}

/// The modules to load for these, each after what it depends on. What is not a module is built in.
pub(crate) fn load_order(
    wanted: &[String],
    dependencies_of: &mut impl FnMut(&str) -> anyhow::Result<Option<Vec<String>>>,
) -> anyhow::Result<Vec<String>> {
    let mut order = Vec::new();
    let mut seen = BTreeMap::new();
    for name in wanted {
        visit(&plain(name), dependencies_of, &mut seen, &mut order)?;
    }
    Ok(order)
}

fn visit(
    name: &str,
    dependencies_of: &mut impl FnMut(&str) -> anyhow::Result<Option<Vec<String>>>,
    seen: &mut BTreeMap<String, ()>,
    order: &mut Vec<String>,
) -> anyhow::Result<()> {
    // Entered before its dependencies: a circle (of soft ones) ends here.
    if seen.insert(name.to_owned(), ()).is_some() {
        return Ok(());
    }
    if let Some(dependencies) = dependencies_of(name)? {
        for dependency in dependencies {
            visit(&dependency, dependencies_of, seen, order)?;
        }
        order.push(name.to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &[u8] =
        b"\x7fELF\0\0depends=\0license=GPL\0depends=scsi_mod,target-core-mod\0softdep=pre: crc32c post: zstd\0rest";

    #[test]
    fn dependencies_are_hard_and_soft_ones_under_their_plain_names() {
        assert_eq!(values(MODULE, "license"), ["GPL"]);
        assert_eq!(
            dependencies(MODULE),
            ["scsi_mod", "target_core_mod", "crc32c"]
        );
    }

    #[test]
    fn a_module_is_loaded_after_what_it_depends_on_once_and_built_in_ones_not_at_all() {
        let mut graph = |name: &str| {
            Ok(match name {
                "tcm_loop" => Some(vec!["target_core_mod".to_owned(), "scsi_mod".to_owned()]),
                "target_core_mod" => Some(vec!["configfs".to_owned()]),
                "configfs" => Some(vec!["tcm_loop".to_owned()]),
                "sd_mod" => Some(vec!["scsi_mod".to_owned()]),
                _ => None,
            })
        };
        let wanted = ["tcm-loop".to_owned(), "sd_mod".to_owned()];
        assert_eq!(
            load_order(&wanted, &mut graph).unwrap(),
            ["configfs", "target_core_mod", "tcm_loop", "sd_mod"]
        );
    }
}
