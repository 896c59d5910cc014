import TCPScript
import Testing

@Suite("The expressions of code blocks") struct EvaluatorTests {
    /// Runs the statements and gives what they print.
    private func run(_ code: String, _ fields: [String: Int64] = [:]) throws -> [String] {
        let script = try Parser.parse("0 %{ \(code) }%", name: "test")
        guard case .code(let block) = script.events[0].action else { return [] }
        // Printed and read again it means the same.
        guard case .code(let again) = try Parser.parse("0 \(block.text)", name: "test").events[0].action else {
            return []
        }
        var first = Evaluator()
        var second = Evaluator()
        try first.run(block) { fields[$0].map { .integer($0) } }
        try second.run(again) { fields[$0].map { .integer($0) } }
        #expect(first.output == second.output)
        return first.output
    }

    @Test(
        "Arithmetic and its order are Python's",
        arguments: [
            ("1 + 2 * 3", "7"), ("(1 + 2) * 3", "9"), ("7 // 2", "3"), ("-7 // 2", "-4"), ("-7 % 3", "2"),
            ("7 % -3", "-2"),
            ("2 ** 10", "1024"), ("-2 ** 2", "-4"), ("(-1) ** 1000001", "-1"), ("2 ** 0", "1"), ("0 ** 0", "1"),
            ("0 ** 5", "0"),
            ("1 << 4 | 1", "17"), ("6 & 3 ^ 1", "3"), ("~5", "-6"), ("7 / 2", "3.5"), ("1.5 + 1", "2.5"),
            ("0x10", "16"),
            ("10 - 3 - 2", "5"), ("100 // 7 // 2", "7"), ("1e3", "1000.0"), (".5", "0.5"), ("5.5 // 2", "2.0"),
        ])
    func arithmetic(text: String, value: String) throws { #expect(try run("print \(text)") == [value]) }

    @Test(
        "Comparisons are chained, and the words bind as in Python",
        arguments: [
            ("1 < 2 < 3", "True"), ("1 < 3 < 2", "False"), ("3 > 2 == 2", "True"), ("not 1 == 2", "True"),
            ("1 == 1 and 2 == 3 or 4 == 4", "True"), ("1 or 1 and 0", "1"), ("0 or ''", ""), ("5 and 6", "6"),
            ("2 in (1, 2)", "True"), ("3 not in [1, 2]", "True"), ("'a' in 'bar'", "True"), ("1 == 1.0", "True"),
            ("'a' < 'b'", "True"), ("True == 1", "True"), ("None == 0", "False"), ("1 if 0 else 2", "2"),
            ("1 != 2", "True"), ("(1,) == (1,)", "True"),
        ])
    func comparisons(text: String, value: String) throws { #expect(try run("print \(text)") == [value]) }

    @Test(
        "Functions and formats",
        arguments: [
            ("abs(-3)", "3"), ("max(1, 5, 2)", "5"), ("min((4, 2))", "2"), ("int(2.9)", "2"), ("int(-2.9)", "-2"),
            ("str(5)", "5"),
            ("'cwnd=%d' % 7", "cwnd=7"), ("'%d of %s, %x, 100%%' % (1, 'two', 255)", "1 of two, ff, 100%"),
            ("float(1)", "1.0"),
        ])
    func functions(text: String, value: String) throws { #expect(try run("print \(text)") == [value]) }

    @Test("Statements end with the line or a semicolon; names live on; lines go on within parentheses")
    func statements() throws {
        #expect(try run("a = 1; b = a + 1\nprint a, b\npass; a == 2") == ["1 2"])
        #expect(try run("print (1 +\n  2)  # not a statement\n") == ["3"])
        #expect(try run("assert tcpi_rtt == 5, tcpi_rtt; print (tcpi_rtt, 'us')", ["tcpi_rtt": 5]) == ["5 us"])
    }

    @Test(
        "Printed, an expression has the parentheses it needs and no others",
        arguments: [
            "1 + 2 + 3", "1 - (2 - 3)", "(1 + 2) * 3", "-(1 + 2)", "--1", "-2 ** 2", "(-2) ** 2", "2 ** -1",
            "2 ** 3 ** 2",
            "(2 ** 3) ** 2", "not not 1", "-(not 1)", "not (1 or 2) and 3", "1 or 2 or 3", "1 or (2 or 3)",
            "(1 < 2) < 3",
            "1 < 2 < 3", "1 | 2 & 3", "(1 | 2) & 3", "1 << (2 << 3)", "1 if 2 else 3 if 4 else 5",
            "(1 if 2 else 3) if 4 else 5",
            "(1, 2) == (3,)", "abs(-1) // 2 % 3", "(1 if 2 else 3) + 4", "'a' % (1, 2)",
        ])
    func printing(text: String) throws {
        let script = try Parser.parse("0 %{ print \(text) }%", name: "test")
        guard case .code(let block) = script.events[0].action else { return }
        let wanted = "%{ print \(text) }%".replacing("'", with: "\"")
        #expect(block.text == wanted)
        // A long row, and a deep one, read back.
        for long in [
            Array(repeating: text, count: 40).joined(separator: " + "), String(repeating: "-", count: 60) + "1",
        ] {
            // Some rows are deeper than the parser goes, or no expression.
            guard let first = try? Parser.parse("0 %{ print (\(long)) + 1 }%", name: "long") else { continue }
            #expect(try Parser.parse(first.text, name: "long").text == first.text)
        }
    }

    @Test("An assertion that does not hold tells the values of the names in it, and the script's own words")
    func assertions() throws {
        let failure = #expect(throws: CodeFailure.self) {
            try run("pass\nassert 990 <= tcpi_x <= 1010, 'x=%d' % tcpi_x", ["tcpi_x": 7])
        }
        #expect(failure?.isAssertion == true)
        #expect(failure?.position.line == 2)
        #expect(failure?.message == "assert 990 <= tcpi_x <= 1010 does not hold: tcpi_x is 7 (x=7)")
    }

    @Test(
        "What has no value is an error, never a trap",
        arguments: [
            "1 // 0", "1 % 0", "1 / 0", "1.0 // 0", "9223372036854775807 + 1", "-9223372036854775807 - 2", "2 ** 64",
            "1 << 64", "1 << -1", "4611686018427387904 << 1", "3 ** 1000000000000", "(-9223372036854775807 - 1) // -1",
            "unknown", "nofunction(1)", "abs('a')", "'a' + 1", "1 < 'a'", "'%d'  % ()", "-'a'", "int('x')", "1 in 2",
            "min()",
            "abs(-9223372036854775807 - 1)", "9223372036854775807 * 2", "2.5 ** 2", "int(1e300)",
        ])
    func faults(text: String) throws {
        let failure = #expect(throws: CodeFailure.self, "\(text)") { try run("print \(text)") }
        #expect(failure?.isAssertion == false)
    }
}
