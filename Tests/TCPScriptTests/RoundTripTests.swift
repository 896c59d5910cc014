import TCPScript
import Testing

@Suite("Scripts printed and read again") struct RoundTripTests {
    /// Positions and the shape of numbers apart, what was read twice is the same; printing is what they are compared by.
    static func check(_ script: Script) throws {
        let text = script.text
        let again = try Parser.parse(text, name: script.name)
        #expect(again.text == text, "\(script.name)")
        #expect(again.events.count == script.events.count)
        for (first, second) in zip(script.events, again.events) {
            #expect(first.withoutPosition == second.withoutPosition, "\(script.name):\(first.position): \(first.text)")
        }
    }

    @Test(
        "Every public script reads, and reads the same once printed",
        .enabled(if: SharedScripts.areThere, Comment(rawValue: SharedScripts.whyNot)))
    func publicScripts() throws {
        let entries = try SharedScripts.entries()
        #expect(entries.count == 208)
        for entry in entries {
            let path = SharedScripts.location(of: entry)
            try RoundTripTests.check(try Parser.parse(try ScriptFiles.read(path), name: path))
        }
    }
}

extension ScriptEvent {
    /// The event as if it stood at the start of a script.
    var withoutPosition: ScriptEvent {
        let origin = SourcePosition(line: 1, column: 1)
        var event = self
        event.position = origin
        switch event.action {
        case .packet(var packet):
            packet.position = origin
            event.action = .packet(packet)
        case .call(var call):
            call.position = origin
            event.action = .call(call)
        case .command(var command):
            command.position = origin
            event.action = .command(command)
        case .code(var block):
            for index in block.statements.indices { block.statements[index].position = origin }
            event.action = .code(block)
        }
        return event
    }
}
