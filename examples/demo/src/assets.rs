//! The page's files, as `build.rs` prepared them from the folder `web`.

use dustdevil_http::MediaType;
use dustdevil_http::web::assets::{Asset, Variant};

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::BTreeSet;
    use std::io::Read;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn the_compressed_files_are_the_plain_ones() {
        for (path, asset) in ASSETS {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(asset.gzip.body).read_to_end(&mut plain).unwrap();
            assert!(plain == asset.plain.body, "{path}");
        }
    }

    #[test]
    fn every_encoding_has_a_tag_of_its_own() {
        let variants = ASSETS.iter().flat_map(|(_, asset)| [&asset.plain, &asset.gzip]);
        let tags: BTreeSet<_> = variants.clone().map(|variant| variant.etag).collect();
        assert_eq!(tags.len(), 2 * ASSETS.len());
        for variant in variants {
            let field = ("ETag", variant.etag.as_bytes());
            assert!(variant.fields.contains(&field), "{:?}", variant.fields);
            // A strong tag: 16 digits in quotes (RFC 9110, 8.8.3).
            let digits = variant.etag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            assert!(digits.is_some_and(|tag| tag.len() == 16), "{}", variant.etag);
        }
    }

    #[test]
    fn only_the_compressed_encoding_is_called_compressed() {
        for (path, asset) in ASSETS {
            let named = |variant: &Variant| variant.fields.contains(&("Content-Encoding", b"gzip"));
            assert!(named(&asset.gzip) && !named(&asset.plain), "{path}");
        }
    }

    #[test]
    fn the_whole_page_is_small() {
        let bytes: usize = ASSETS.iter().map(|(_, asset)| asset.gzip.body.len()).sum();
        assert!(bytes < 12_000, "{bytes}");
    }
}
