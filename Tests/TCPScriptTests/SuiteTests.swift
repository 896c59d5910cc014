import TCPScript
import Testing

/// The scripts of `Tests/Scripts`: one behaviour a file, each against a stack of its own.
@Suite("Our own packet scripts") struct SuiteTests {
    /// Their paths below `Tests/Scripts`, in order.
    static let names: [String] = {
        let found = (try? ScriptFiles.scripts(at: folder)) ?? []
        return found.map { String($0.dropFirst(folder.count + 1)) }
    }()

    static let folder = SharedScripts.root + "/Tests/Scripts"

    static func text(_ name: String) throws -> [UInt8] { try ScriptFiles.read("\(folder)/\(name)") }

    @Test("A script of ours passes", arguments: names)
    func passes(name: String) throws {
        let report = Runner.run(try SuiteTests.text(name), name: "\(SuiteTests.folder)/\(name)")
        #expect(report.outcome == .passed, "\(report.lines.joined(separator: "\n"))")
    }

    /// A script that would pass whatever the stack sent proves nothing.
    @Test("A script of ours whose last packet is another fails there", arguments: names)
    func notices(name: String) throws {
        var script = try Parser.parse(try SuiteTests.text(name), name: name)
        let last = script.events.lastIndex { event in
            guard case .packet(let packet) = event.action, packet.direction == .outbound,
                case .tcp = packet.transport
            else { return false }
            return true
        }
        let index = try #require(last, "nothing is expected of the stack")
        guard case .packet(var packet) = script.events[index].action, case .tcp(var segment) = packet.transport else {
            return
        }
        if let acknowledgment = segment.acknowledgment {
            segment.acknowledgment = acknowledgment &+ 1
        } else {
            segment.flags.formSymmetricDifference(.fin)
        }
        packet.transport = .tcp(segment)
        script.events[index].action = .packet(packet)
        let report = Runner.run(script)
        guard case .failed(let failure) = report.outcome else {
            Issue.record("it passed with \(script.events[index].text)")
            return
        }
        #expect(failure.position == script.events[index].position)
    }

    @Test(
        "The first line of a script names the section of an RFC, and says in a sentence what it shows", arguments: names
    )
    func firstLine(name: String) throws {
        let line = String(decoding: try SuiteTests.text(name).prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        // `// RFC 9293 §3.10.7.4, fifth [U-35]: sentence.`
        let pattern = /\/\/ RFC \d{3,5} §(\d+(\.\d+)*|[A-Z](\.\d+)*)(, [^\[\]:]+)?( \[[^\]]+\])?: .{20,}[^.]\./
        #expect(line.wholeMatch(of: pattern) != nil, "\(line)")
    }

    @Test("There are scripts of ours on every topic that the page about them names, and no others")
    func topics() throws {
        let page = String(
            decoding: try ScriptFiles.read(SharedScripts.root + "/docs/scripts.md"), as: UTF8.self)
        let described = page.split(separator: "\n").compactMap { line in
            line.prefixMatch(of: /\| `([a-z-]+)\/` \|/).map { String($0.1) }
        }
        let present = Set(SuiteTests.names.compactMap { $0.split(separator: "/").first.map(String.init) })
        #expect(described.count >= 20)
        #expect(Set(described) == present)
    }
}
