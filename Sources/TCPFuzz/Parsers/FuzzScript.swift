import TCPScript

/// Any text as a packet script: what is read can be printed, and reads and prints the same. An error names a place inside
/// the text.
func fuzzScript(_ input: RawSpan) {
    var octets = Octets(input)
    let text = octets.rest()
    let script: Script
    do throws(ScriptError) {
        script = try Parser.parse(text, name: "input")
    } catch {
        let lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        require((1...max(1, lines.count)).contains(error.position.line), "an error lies outside the script: \(error)")
        require(!error.message.isEmpty, "an error says nothing")
        return
    }
    let printed = script.text
    do throws(ScriptError) {
        let again = try Parser.parse(printed, name: "input")
        require(again.text == printed, "a script prints differently once it was read:\n\(printed)\n\(again.text)")
        require(
            again.events.count == script.events.count && again.options.count == script.options.count,
            "a script has lost lines:\n\(printed)")
    } catch {
        // Printed with all its parentheses an expression can be deeper than the reader allows.
        require(error.message.contains("deep"), "a script that was printed cannot be read: \(error)\n\(printed)")
    }
}
