import Foundation
import Testing

@Suite("tcp script")
struct ScriptCommandTests {
    private static let opening = """
        0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
        +0 bind(3, ..., ...) = 0
        +0 listen(3, 1) = 0
        +0 < S 0:0(0) win 65535 <mss 1000>

        """

    /// Runs `body` with a folder of three scripts: one passes, one fails in its fifth line, one is skipped there.
    private func withScripts(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "scripts-\(UUID().uuidString)")
        try FileManager.default.createDirectory(
            at: folder.appending(path: "inner"), withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let scripts = [
            "a-fails.pkt": "+0 > S. 0:0(0) ack 2 <...>\n", "b-passes.pkt": "+0 > S. 0:0(0) ack 1 <...>\n",
            "inner/skipped.pkt": "+0 `reboot`\n", "notes.txt": "no script",
        ]
        for (name, text) in scripts {
            try Data((ScriptCommandTests.opening + text).utf8).write(to: folder.appending(path: name))
        }
        try body(folder.path)
    }

    @Test(
        "The scripts of a folder in order; what failed with line, expected, got and state; the counts last; exit code 1"
    )
    func text() throws {
        try withScripts { folder in
            let command = try Command.run("script", folder)
            #expect(command.status == 1)
            #expect(command.errors.isEmpty)
            #expect(
                command.lines == [
                    "\(folder)/a-fails.pkt:5: failed: the acknowledgment number is 1, not 2",
                    "  expected: +0 > S. 0:0(0) ack 2 <...>", "  got:      0 > S. 0:0(0) ack 1 win 65535 <mss 1460>",
                    "  socket 3: LISTEN 192.168.0.1:8080, cwnd 10, RTO 1000 ms",
                    "\(folder)/inner/skipped.pkt:5: skipped: the command 'reboot' has nothing to act on here",
                    "1 passed, 1 failed, 1 skipped",
                ])
            #expect(try Command.run("script", folder + "/b-passes.pkt").status == 0)
            #expect(
                try Command.run("script", folder + "/b-passes.pkt", "--verbose").lines
                    == ["\(folder)/b-passes.pkt: passed", "1 passed, 0 failed, 0 skipped"])
        }
    }

    @Test("With --json an object for each script, in the order given, whatever runs beside it, and the counts last")
    func json() throws {
        try withScripts { folder in
            let names = (0..<40).map { folder + ($0 % 3 == 0 ? "/a-fails.pkt" : "/b-passes.pkt") }
            let objects = try Command.run(["script", "--json", "--jobs", "4"] + names).objects()
            #expect(objects.dropLast().map { $0["file"] as? String } == names)
            for object in objects.dropLast() {
                let fails = (object["file"] as? String)?.hasSuffix("a-fails.pkt") == true
                #expect(object["event"] as? String == "script")
                #expect(object["result"] as? String == (fails ? "failed" : "passed"))
                #expect(object["line"] as? Int == (fails ? 5 : nil))
                #expect((object["reason"] as? String)?.isEmpty == (fails ? false : nil))
            }
            #expect(objects.last?["event"] as? String == "result")
            #expect(objects.last?["passed"] as? Int == 26)
            #expect(objects.last?["failed"] as? Int == 14)
            #expect(objects.last?["skipped"] as? Int == 0)
        }
    }

    @Test("A file that cannot be read as a script fails, with line and column")
    func unreadable() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "bad-\(UUID().uuidString).pkt")
        try Data("0 socket(..., SOCK_STREAM = 3\n".utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let command = try Command.run("script", file.path)
        #expect(command.status == 1)
        #expect(command.lines.first == "\(file.path):1: failed: column 27: expected ',' or ')', found '='")
    }

    @Test(
        "A mistake of the user's is one sentence on standard error, and exit code 64",
        arguments: [
            ["script"], ["script", "/nowhere/none.pkt"], ["script", "/proc/self/fdinfo"],
            ["script", "x.pkt", "--platform", "windows"], ["script", "x.pkt", "--ip-version", "5"],
            ["script", "x.pkt", "--jobs", "0"],
        ])
    func mistakes(arguments: [String]) throws {
        let command = try Command.run(arguments)
        #expect(command.status == 64)
        #expect(command.output.isEmpty)
        #expect(
            command.errors.split(separator: "\n").count == 1 && command.errors.hasSuffix(".\n"), "\(command.errors)")
    }
}
