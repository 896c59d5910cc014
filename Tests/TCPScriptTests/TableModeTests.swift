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

    @Test("Every public script of class A that passes directly passes through the table")
    func classA() throws {
        for entry in try SharedScripts.entries() where entry.isClassA {
            let path = SharedScripts.location(of: entry)
            let script = try Parser.parse(try ScriptFiles.read(path), name: path)
            guard Runner.run(script).outcome == .passed else { continue }
            var fault: TableError?
            let report = Runner.run(script) { settings in
                do throws(TableError) {
                    return try TableKernel(library: TableModeTests.library, settings)
                } catch {
                    fault = error
                    return DirectKernel(settings)
                }
            }
            if let fault {
                Issue.record("\(fault)")
                return
            }
            #expect(report.outcome == .passed, "\(report.lines.joined(separator: "\n"))")
        }
    }
}
