import Glibc
import TCPScript
import TCPSockets
import Testing

/// Scripts played through the table of calls of the library that a packetdrill binary loads.
@Suite(
    "Scripts through the packetdrill library",
    .enabled(if: SharedScripts.areThere, Comment(rawValue: SharedScripts.whyNot)))
struct TableModeTests {
    /// The library, as it was built beside these tests.
    static let library: String = {
        let names = CommandLine.arguments.filter { $0.hasSuffix(".xctest") } + [CommandLine.arguments[0]]
        for name in names {
            let folder = name.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
            let path = folder + "/libTCPPacketdrill.so"
            if access(path, R_OK) == 0 { return path }
        }
        return "libTCPPacketdrill.so"
    }()

    @Test("Every public script that passes directly passes through the table")
    func publicScripts() throws {
        var options = Runner.Options()
        options.library = TableModeTests.library
        for entry in try SharedScripts.entries() {
            let path = SharedScripts.location(of: entry)
            guard Batch.run(path).outcome == .passed else { continue }
            let report = Batch.run(path, options: options)
            #expect(report.outcome == .passed, "\(report.lines.joined(separator: "\n"))")
        }
    }

    @Test("A library that is none is said to be none")
    func noLibrary() throws {
        var options = Runner.Options()
        options.library = "/nowhere/libnone.so"
        let report = Runner.run(Array(RunnerTests.opening.utf8), name: "test.pkt", options: options)
        guard case .failed(let failure) = report.outcome else {
            Issue.record("\(report.lines)")
            return
        }
        #expect(failure.reason.contains("/nowhere/libnone.so"))
    }
}
