internal import ArgumentParser
internal import Synchronization
internal import TCPScript
internal import TCPTrace

/// `tcp script FILE…`: play packet scripts against the stack.
struct ScriptCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "script",
        abstract: "Play packet scripts against the stack, in virtual time.",
        discussion: """
            A packet script says what a program and the network do to a TCP, and what the TCP must do in return. The language is \
            packetdrill's, as Google's and the FreeBSD project's tests are written. Each script gets a stack of its \
            own, and no time passes for real: an hour of waiting takes as long as a second.

                0   socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
                +0  bind(3, ..., ...) = 0
                +0  listen(3, 1) = 0
                +0  < S 0:0(0) win 65535 <mss 1000>      a packet goes in
                +0  > S. 0:0(0) ack 1 <...>              and this one must come out
                +.1 < . 1:1(0) ack 1 win 65535
                +0  accept(3, ..., ...) = 4
                +0  %{ assert tcpi_state == TCP_ESTABLISHED }%

            A script that fails shows the line, what came instead, and the state of every connection. A script that asks for \
            what is not here (a sysctl without an equivalent, say) is skipped, with the reason. The last line is 'N passed, \
            N failed, N skipped'; the exit code is 1 if any failed.
            """)

    @Argument(
        help: ArgumentHelp("Scripts, or folders of them (every file in them that ends in .pkt).", valueName: "file"))
    var paths: [String]

    @Flag(help: "Write one JSON object a line: a 'script' for each file, and a 'result' last.")
    var json = false

    @Flag(help: "Write a line for each script that passes, too.")
    var verbose = false

    @Flag(help: "Fail a script when a packet leaves that no line of it expects, at its end.")
    var strict = false

    @Option(
        help:
            "Whose figures a script counts on where it sets none: linux, freebsd, rfc (no system in particular), or auto by folder and contents."
    )
    var platform = "auto"

    @Option(
        help: ArgumentHelp(
            "What scripts that do not say are played over: ipv4, ipv6, or ipv4-mapped-ipv6.", valueName: "version"))
    var ipVersion = "ipv4"

    @Option(
        help: ArgumentHelp(
            "Play them on the stack in this library, which packetdrill could load by --so_filename, as libTCPPacketdrill.so.",
            valueName: "file"))
    var library: String?

    @Option(help: "How many scripts to play at a time (default: one for each processor).")
    var jobs: Int?

    func validate() throws {
        guard platform == "auto" || Platform(rawValue: platform) != nil else {
            throw ValidationError("--platform takes linux, freebsd, rfc or auto, not '\(platform)'")
        }
        guard Family(rawValue: ipVersion) != nil else {
            throw ValidationError("--ip-version takes ipv4, ipv6 or ipv4-mapped-ipv6, not '\(ipVersion)'")
        }
        guard jobs.map({ (1...256).contains($0) }) ?? true else {
            throw ValidationError("--jobs takes a number from 1 to 256")
        }
    }

    /// How many scripts ended how.
    private struct Counts {
        var passed = 0
        var failed = 0
        var skipped = 0
    }

    func run() throws {
        var files: [String] = []
        do {
            for path in paths { files += try ScriptFiles.scripts(at: path) }
        } catch {
            throw ValidationError("\(error)")
        }
        guard !files.isEmpty else {
            throw ValidationError("There is no script, no file ending in .pkt, in \(paths.joined(separator: ", "))")
        }
        var options = Runner.Options()
        options.platform = Platform(rawValue: platform)
        options.isStrict = strict
        options.library = library
        options.family = Family(rawValue: ipVersion)
        let counts = SharedCounts()
        let (json, verbose) = (json, verbose)
        Batch.run(files, options: options, threads: jobs) { report in
            counts.add(report)
            if json {
                Terminal.say([ScriptCommand.line(report)])
            } else if verbose || report.outcome != .passed || !report.output.isEmpty {
                Terminal.say(report.lines)
            }
        }
        let total = counts.total
        if json {
            var object = JSONObject()
            object.add("event", "result")
            object.add("passed", total.passed)
            object.add("failed", total.failed)
            object.add("skipped", total.skipped)
            Terminal.say([object.line])
        } else {
            Terminal.say(["\(total.passed) passed, \(total.failed) failed, \(total.skipped) skipped"])
        }
        if total.failed > 0 { throw ExitCode.failure }
    }

    /// Counts, from whichever thread has a report.
    private final class SharedCounts: Sendable {
        private let counts = Mutex(Counts())

        var total: Counts { counts.withLock { $0 } }

        func add(_ report: Report) {
            counts.withLock { counts in
                switch report.outcome {
                case .passed: counts.passed += 1
                case .failed: counts.failed += 1
                case .skipped: counts.skipped += 1
                }
            }
        }
    }

    private static func line(_ report: Report) -> String {
        var object = JSONObject()
        object.add("event", "script")
        object.add("file", report.file)
        switch report.outcome {
        case .passed: object.add("result", "passed")
        case .skipped(let reason, let position):
            object.add("result", "skipped")
            if let position { object.add("line", position.line) }
            object.add("reason", reason)
        case .failed(let failure):
            object.add("result", "failed")
            object.add("line", failure.position.line)
            object.add("reason", failure.reason)
            if !failure.expected.isEmpty { object.add("expected", failure.expected) }
            if let got = failure.got { object.add("got", got) }
            object.add("connections", failure.connections)
        }
        if !report.output.isEmpty { object.add("output", report.output) }
        return object.line
    }
}
