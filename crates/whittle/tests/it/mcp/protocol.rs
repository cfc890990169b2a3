//! What a client learns first, and what is no request.

use serde_json::{Value, json};

use super::Place;

#[test]
fn the_server_says_what_it_is_and_which_tools_it_has() {
    let place = Place::new();
    let mut client = place.start(&[]);
    let mut about = client.initialize();
    about["serverInfo"]["version"] = "VERSION".into();
    insta::assert_snapshot!(
        "instructions",
        about["instructions"].take().as_str().unwrap()
    );
    insta::assert_json_snapshot!("about", about);
    let tools = client.request("tools/list", json!({}))["result"]["tools"].clone();
    insta::assert_json_snapshot!("tools", tools);
    for tool in tools.as_array().unwrap() {
        // The schemas are what a model goes by: each is one, and each parameter is explained.
        jsonschema::validator_for(&tool["inputSchema"]).unwrap();
        for (name, property) in tool["inputSchema"]["properties"]
            .as_object()
            .into_iter()
            .flatten()
        {
            assert!(
                property["description"].is_string(),
                "{}: {name}",
                tool["name"]
            );
        }
    }
    assert_eq!(client.hang_up(), Some(0), "{}", place.log());
}

#[test]
fn what_is_no_request_does_no_harm() {
    let place = Place::new();
    let mut client = place.connect(&[]);
    client.write("this is no JSON");
    client.write("");
    client.write("[1, 2");
    let code = |response: &Value| response["error"]["code"].as_i64();
    let response = client.request("tools/call", json!({"name": "read_file", "arguments": {}}));
    assert_eq!(code(&response), Some(-32602), "{response}");
    assert!(
        response["error"]["message"]
            .as_str()
            .unwrap()
            .contains("read_file")
    );
    let response = client.request("no/such/method", json!({}));
    assert_eq!(code(&response), Some(-32601), "{response}");
    let tools = client.request("tools/list", json!({}));
    assert!(tools["result"]["tools"].is_array(), "{tools}");
    assert_eq!(client.hang_up(), Some(0), "{}", place.log());
}

#[test]
fn a_client_that_goes_before_it_comes_is_no_error() {
    let place = Place::new();
    let client = place.start(&[]);
    assert_eq!(client.hang_up(), Some(0), "{}", place.log());
}

#[test]
fn a_wrong_command_line_is_told_before_the_first_request() {
    let place = Place::new();
    for (arguments, code, message) in [
        (&["mcp", "--root", "nowhere"][..], 1, "nowhere"),
        (&["mcp", "--root", "bits.c"], 1, "is no folder"),
        (&["mcp", "--budget-time", "soon"], 2, "as in 90s"),
        (&["mcp", "--llvm-prefix", "tests"], 4, "install with"),
    ] {
        let (exit, text) = crate::common::failure(&mut place.command(arguments));
        assert_eq!(exit, code, "{arguments:?}: {text}");
        assert!(text.contains(message), "{arguments:?}: {text}");
    }
}
