//! Random streams of commands, randomly cut and answered, played into the gateway and held against the model.
//!
//! `VFIND_STREAMS` says how many; a short run without it. What fails is shrunk to the few commands that matter.

use proptest::test_runner::{Config, TestError, TestRunner};

use crate::model_play::Play;
use crate::model_streams::streams;

#[test]
fn the_gateway_and_the_model_agree() {
    let streams_wanted =
        std::env::var("VFIND_STREAMS").map_or(1_000, |count| count.parse().unwrap());
    let config = Config {
        cases: streams_wanted,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        // Whole runs share these; a row that draws again now and then is none to give up on.
        max_local_rejects: u32::MAX,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let result = runner.run(&streams(), |(stream, half_close, abandon, seed)| {
        let mut play = Play::new(&stream, half_close, seed);
        play.run();
        if abandon {
            play.abandon();
        }
        Ok(())
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, (stream, half_close, abandon, seed))) => panic!(
            "{why}\nin `{}`\nhalf_close={half_close} abandon={abandon} seed={seed}",
            stream.escape_ascii()
        ),
        Err(error) => panic!("{error}"),
    }
}
