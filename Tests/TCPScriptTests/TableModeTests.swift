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
        let folder = CommandLine.arguments[0].split(separator: "/", omittingEmptySubsequences: false).dropLast()
        let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") }
        let places = [
            bundle.map { String($0[..<($0.lastIndex(of: "/") ?? $0.startIndex)]) }, folder.joined(separator: "/"),
        ]
        for place in places.compactMap({ $0 }) where access(place + "/libTCPPacketdrill.so", R_OK) == 0 {
            return place + "/libTCPPacketdrill.so"
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
