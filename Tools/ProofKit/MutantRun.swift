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
            throw ProofError("The mutants do not build:\n\(errors.joined(separator: "\n"))\nTheir sources are in \(package.folder).")
        }
    }

    private func start(_ number: Int) throws(ProofError) -> Child {
        let limits = "ulimit -t \(processorLimit) -v \(memoryLimit); exec \"$@\""
        return try Child(
            ["/bin/sh", "-c", limits, "sh", package.bundle, "--testing-library", "swift-testing"],
            environment: [MutantPackage.variable: "\(number)"])
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
        var child = try start(0)
        while child.read() {}
        let text = child.text
        guard child.wait().code == 0 else {
            throw ProofError(
                "The tests fail without a mutant: \(MutantRun.failure(in: text) ?? String(decoding: text.suffix(500), as: UTF8.self))")
        }
        let seconds = MutantRun.childrensSeconds() - before
        processorLimit = 10 + Int(seconds * 3)
        return seconds
    }

    private static func childrensSeconds() -> Double {
        var usage = rusage()
        getrusage(RUSAGE_CHILDREN.rawValue, &usage)
        return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
    }

    /// Runs the tests with mutant `number` until the first failure.
    package func run(_ number: Int) throws(ProofError) -> Verdict {
        var child = try start(number)
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
