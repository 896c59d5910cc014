import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Every state ends by itself once its program has let go, whatever the peer does or leaves undone; nothing is left then, no
/// memory and no timer (B-8, B-9, B-12, B-26).
@Suite("No state outlives its program")
struct NeverWedgeTests {
    /// What the peer does from then on.
    enum Peer: String, CaseIterable, Sendable, CustomTestStringConvertible {
        /// Nothing: it is gone.
        case gone
        /// It acknowledges all it gets, and never closes.
        case silent
        /// It answers whatever comes with a window of zero, and takes nothing.
        case shut
        /// The same, but takes each octet that probes its window.
        case nibbling
        /// It resets the connection.
        case reset
        var testDescription: String { rawValue }
    }

    /// How the program lets go.
    enum Ending: String, CaseIterable, Sendable, CustomTestStringConvertible {
        case release, writeAndRelease, closeAndRelease, abort
        var testDescription: String { rawValue }
    }

    static let states: [State] = [
        .synSent, .synReceived, .established, .finWait1, .finWait2, .closeWait, .closing, .lastAck, .timeWait,
    ]

    private func answer(_ segments: [Segment], _ peer: ScriptedPeer, _ kind: Peer) {
        for segment in segments where !segment.flags.contains(.rst) {
            let end = peer.relative(segment) + segment.sequenceLength
            switch kind {
            case .gone, .reset: break
            case .silent:
                if segment.sequenceLength > 0 { peer.send(.ack, ack: max(end, peer.received)) }
            case .shut: peer.send(.ack, ack: peer.relative(segment), window: 0)
            case .nibbling: peer.send(.ack, ack: segment.length == 1 ? end : peer.relative(segment), window: 0)
            }
        }
    }

    @Test(
        "Released, a connection in any state comes to its end, and the stack holds nothing then [MUST-37, B-8, B-9, B-12, B-26, 6429-1]",
        arguments: Ending.allCases, Peer.allCases)
    func ends(ending: Ending, kind: Peer) throws {
        for state in Self.states {
            for role in [Role.passive, .active] where state != .synSent || role == .active {
                try end(state, role, ending, kind)
            }
        }
    }

    private func end(_ state: State, _ role: Role, _ ending: Ending, _ kind: Peer) throws {
        var configuration = Configuration()
        configuration.maximumSegmentLifetime = .seconds(5)
        let peer = ScriptedPeer(.ipv4, configuration)
        peer.listen()
        let empty = peer.host.stack.memory
        peer.checksLedger = false
        peer.enter(state, role)
        let opened = peer.host.now
        if kind == .shut || kind == .nibbling, State.synchronized.contains(state) { peer.send(.ack, window: 0) }
        letGo(peer, ending)
        if kind == .reset { peer.send([.rst, .ack]) }
        var rounds = 0
        while let deadline = peer.host.stack.nextDeadline, rounds < 3_000 {
            rounds += 1
            answer(peer.pending, peer, kind)
            peer.discard()
            if peer.connection == nil, let id = peer.listener.flatMap({ peer.host.accept($0) }) {
                peer.connection = id
                letGo(peer, ending)
            }
            peer.host.advance(to: max(deadline, peer.host.now)) { !peer.pending.isEmpty }
        }
        let what: Comment =
            "\(state) \(role), \(ending), peer \(kind): \(peer.host.now - opened)\n\(peer.host.recentTrace())"
        #expect(peer.host.stack.nextDeadline == nil, what)
        #expect(peer.host.stack.flows().isEmpty, what)
        #expect(peer.host.stack.audit() == nil, what)
        #expect(peer.host.stack.memory == empty, what)
        // R2 of what was sent, and once more of the FIN or of a window that stays shut.
        #expect(peer.host.now - opened < .seconds(800), what)
    }

    private func letGo(_ peer: ScriptedPeer, _ ending: Ending) {
        let host = peer.host
        guard let id = peer.connection else {
            // A half-open entry has no program: nobody completes it.
            return
        }
        if ending == .writeAndRelease {
            let octets = [UInt8](repeating: 1, count: 5000)
            _ = try? host.stack.write(id, octets.span.bytes, at: host.now)
        }
        if ending == .closeAndRelease { try? host.stack.close(id, at: host.now) }
        host.settle()
        if ending == .abort { host.stack.abort(id, at: host.now) } else { host.stack.release(id, at: host.now) }
        host.settle()
    }

    @Test(
        "A program that never wants to give up has let go when it has let go [MUST-21, B-9]", arguments: Family.allCases
    )
    func neverIsOver(family: Family) {
        let peer = ScriptedPeer(family)
        var options = ConnectionOptions()
        options.userTimeout = .seconds(Int64.max)
        peer.establish(options: options)
        peer.write(100)
        peer.release()
        peer.host.advance(by: .seconds(800))
        #expect(peer.host.stack.memory.connectionCount == 0)
        #expect(peer.host.stack.nextDeadline == nil)
    }

    @Test(
        "A window that is held shut against nobody is waited for as long as R2, and the peer is told [MUST-37, 6429-1]",
        arguments: Family.allCases)
    func shut(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.send(.ack, window: 0)
        peer.write(1000)
        let start = peer.host.now
        peer.release()
        var sawReset = false
        peer.host.advance(to: start + .seconds(1000)) {
            for segment in peer.pending {
                if segment.flags.contains(.rst) { sawReset = true } else { peer.send(.ack, ack: 1, window: 0) }
            }
            peer.discard()
            return sawReset
        }
        let lasted = peer.host.now - start
        #expect(sawReset && lasted >= .seconds(300) && lasted < .seconds(301), "\(lasted)")
        // Held by its program it would have stayed (MUST-37).
        let held = ScriptedPeer(family)
        held.establish()
        held.send(.ack, window: 0)
        held.write(1000)
        held.host.advance(to: held.host.now + .seconds(2000)) {
            for _ in held.pending { held.send(.ack, ack: 1, window: 0) }
            held.discard()
            return false
        }
        held.expectState(.established)
    }

    @Test("A window that opens again lets an orphan finish [MUST-37]", arguments: Family.allCases)
    func opens(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.send(.ack, window: 0)
        peer.write(1000)
        peer.release()
        var taken = 1
        for _ in 0..<2 {
            peer.host.advance(to: peer.host.now + .seconds(250)) {
                for _ in peer.pending { peer.send(.ack, ack: taken, window: 0) }
                peer.discard()
                return false
            }
            // Too little for a segment, but open: what it takes is progress.
            taken = peer.received
            peer.send(.ack, ack: taken, window: 10)
            peer.discard()
        }
        peer.send(.ack, ack: peer.received, window: 60_000)
        peer.host.advance(to: peer.host.now + .seconds(120)) { peer.received == 1002 }
        #expect(peer.received == 1002)
        #expect(peer.history.allSatisfy { !$0.flags.contains(.rst) })
    }
}
