import Glibc

/// How a run of the tests with one mutant ended.
package enum Verdict: Equatable, Sendable {
    /// A test failed: which.
    case failed(String)
    /// The process trapped, or ran into a limit.
    case ended(signal: Int32)
    /// All tests passed: nothing noticed.
    case survived

    package var isNoticed: Bool { self != .survived }
}

/// Runs the tests of a built package of mutants.
package struct MutantRun {
    let package: MutantPackage
    /// Processor seconds a run may take: one that takes them loops.
    private var processorLimit = 600
    /// Seconds on the clock, for one that waits for something.
    private let clockLimit = 900
    /// Kilobytes it may map.
    private let memoryLimit = 16 << 20

    package init(_ package: MutantPackage) { self.package = package }

    /// Builds it, the tests too.
    package func build() throws(ProofError) {
        var child = try Child(
            ["swift", "build", "--package-path", package.folder, "-c", "release", "--build-tests"])
        while child.read() {}
        let text = String(decoding: child.text, as: UTF8.self)
        guard child.wait().code == 0 else {
            let errors = text.split(separator: "\n").filter { $0.contains("error:") }.prefix(20)
            throw ProofError(
                "The mutants do not build:\n\(errors.joined(separator: "\n"))\nTheir sources are in \(package.folder).")
        }
    }

    /// Whether the tests that take long are left out.
    package var isQuick = false
    /// Tests that take long, as the test library's regular expressions: they run only when the others noticed nothing.
    private var long: [String] = []

    private func start(_ number: Int, _ options: [String]) throws(ProofError) -> Child {
        let limits = "ulimit -t \(processorLimit) -v \(memoryLimit); exec \"$@\""
        return try Child(
            ["/bin/sh", "-c", limits, "sh", package.bundle, "--testing-library", "swift-testing", "--no-parallel"]
                + options, environment: [MutantPackage.variable: "\(number)"])
    }

    /// The name of the first test that failed, in a line of the test library's output.
    package static func failure(in text: [UInt8]) -> String? {
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
            if let end = line.firstRange(of: " recorded an issue")?.lowerBound {
                return String(line[..<end].drop { $0 != "T" })
            }
        }
        return nil
    }

    /// Runs the tests without a mutant, all of which must pass; says how many processor seconds that took, and limits the
    /// runs that follow by it.
    package mutating func runUnchanged() throws(ProofError) -> Double {
        let before = MutantRun.childrensSeconds()
        let events = package.folder + "/events"
        var child = try start(0, ["--event-stream-output-path", events, "--event-stream-version", "0"])
        while child.read() {}
        let text = child.text
        guard child.wait().code == 0 else {
            throw ProofError(
                "The tests fail without a mutant: \(MutantRun.failure(in: text) ?? String(decoding: text.suffix(500), as: UTF8.self))"
            )
        }
        let seconds = MutantRun.childrensSeconds() - before
        try takeDurations(from: events)
        return seconds
    }

    /// Takes what the last run without a mutant left, if the same build had one; says whether it did.
    package mutating func reuseUnchanged() throws(ProofError) -> Bool {
        let events = package.folder + "/events"
        guard Files.exists(events) else { return false }
        try takeDurations(from: events)
        return true
    }

    private mutating func takeDurations(from events: String) throws(ProofError) {
        let durations = MutantRun.durations(in: try Files.text(events))
        let total = durations.reduce(0) { $0 + $1.seconds }
        processorLimit = 30 + Int(total * 2)
        long = durations.filter { $0.seconds > total / 1000 }.map { MutantRun.expression($0.id) }
    }

    /// How long each test took, from the test library's stream of events, one a line of JSON.
    package static func durations(in events: String) -> [(id: String, seconds: Double)] {
        var begun: [Substring: Double] = [:]
        var found: [(id: String, seconds: Double)] = []
        for line in events.split(separator: "\n") {
            guard let id = field("\"testID\":\"", of: line, until: "\""), id.contains("("),
                let time = field("\"absolute\":", of: line, until: ",").flatMap({ Double($0) })
            else { continue }
            if line.contains("\"kind\":\"testStarted\"") {
                begun[id] = time
            } else if line.contains("\"kind\":\"testEnded\""), let begin = begun[id] {
                // Target, suite and function; where it stands in its file follows.
                let name = id.split(separator: "\\/").prefix(2).joined(separator: "/")
                found.append((name, time - begin))
            }
        }
        return found
    }

    private static func field(_ name: String, of line: Substring, until end: Character) -> Substring? {
        guard let range = line.firstRange(of: name) else { return nil }
        return line[range.upperBound...].prefix { $0 != end }
    }

    /// An expression that matches `text` and nothing else.
    private static func expression(_ text: String) -> String {
        text.map { $0.isLetter || $0.isNumber || $0 == "/" || $0 == "_" ? "\($0)" : "\\\($0)" }.joined()
    }

    private static func childrensSeconds() -> Double {
        var usage = rusage()
        getrusage(RUSAGE_CHILDREN.rawValue, &usage)
        return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
    }

    /// Runs the tests with mutant `number` until the first failure: those that take long last.
    package func run(_ number: Int) throws(ProofError) -> Verdict {
        let verdict = try run(number, long.flatMap { ["--skip", $0] })
        if verdict.isNoticed || long.isEmpty || isQuick { return verdict }
        return try run(number, long.flatMap { ["--filter", $0] })
    }

    private func run(_ number: Int, _ options: [String]) throws(ProofError) -> Verdict {
        var child = try start(number, options)
        let deadline = time(nil) + clockLimit
        while true {
            var poll = pollfd(fd: child.output, events: Int16(POLLIN), revents: 0)
            let ready = Glibc.poll(&poll, 1, 1000)
            if ready > 0, !child.read() { break }
            if let test = MutantRun.failure(in: child.text) {
                child.end()
                _ = child.wait()
                return .failed(test)
            }
            if time(nil) > deadline {
                child.end()
                _ = child.wait()
                return .ended(signal: SIGALRM)
            }
        }
        let (code, signal) = child.wait()
        if code == 0 { return .survived }
        // A shell that execs tells a signal as one; a code without a failed test is the library's own end.
        return .ended(signal: signal == 0 ? code ?? 0 : signal)
    }
}
