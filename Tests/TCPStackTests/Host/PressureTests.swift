import TCPEngine
import TCPStack
import TCPWire
import Testing

/// What is done as the budget nears its end (DESIGN rule 4): each measure by itself, where its level begins at once.
@Suite("Memory near its end")
struct PressureTests {
    /// A budget of which nothing is done but what `change` says.
    static func configuration(
        _ budget: Int = 4 << 20, _ change: (inout MemoryLevels) -> Void
    ) -> Configuration {
        var configuration = Configuration()
        configuration.memoryBudget = budget
        var levels = MemoryLevels()
        levels.returningBuffers = 100
        levels.holdingWindows = 100
        levels.shrinkingWindows = 100
        levels.endingTimeWait = 100
        levels.sendingCookies = 100
        levels.refusingConnections = 100
        levels.resettingOrphans = 100
        levels.refusingOctets = 100
        levels.keptBack = 0
        change(&levels)
        configuration.memoryLevels = levels
        return configuration
    }

    @Test("Buffers that nothing uses go back at once, all but one piece of 64 KiB", arguments: Family.allCases)
    func buffers(family: Family) {
        for percent in [100, 0] {
            let peer = ScriptedPeer(family, Self.configuration { $0.returningBuffers = percent })
            peer.establish()
            for _ in 0..<4 { for _ in 0..<40 { peer.send(length: 1400) } }
            let full = peer.host.stack.memory
            peer.expectRead(4 * 40 * 1400)
            let after = peer.host.stack.memory
            #expect(after.buffers == 0)
            let isBack = after.idleBuffers < 70_000
            #expect(isBack == (percent == 0), "\(full) \(after)")
        }
    }

    @Test("Idle buffers are not in the way of a new connection", arguments: Family.allCases)
    func idleBuffersYield(family: Family) {
        let peer = ScriptedPeer(family, Self.configuration(320 << 10) { _ in })
        peer.establish()
        for _ in 0..<140 { peer.send(length: 1400) }
        peer.expectRead(140 * 1400)
        #expect(peer.host.stack.memory.idleBuffers > 128 << 10)
        // All else is taken by listeners.
        var port: UInt16 = 1000
        while (try? peer.host.stack.listen(on: port, at: peer.host.now)) != nil { port += 1 }
        let late = ScriptedPeer(family, host: peer.host, port: 4001)
        late.listener = peer.listener
        late.beginPassive()
        #expect(late.host.stack.memory.halfOpenCount == 1)
        #expect(late.host.stack.audit() == nil)
    }

    @Test(
        "A window does not grow past what was told last, and its right edge stays [RFC 9293 SHLD-14, MUST-39]",
        arguments: Family.allCases)
    func windowsHold(family: Family) {
        for percent in [100, 0] {
            let peer = ScriptedPeer(family, Self.configuration { $0.holdingWindows = percent }, offer: .scaled)
            peer.establish()
            var largest = 0
            for _ in 0..<100 {
                peer.send(length: 1400)
                peer.expectRead(1400)
                for segment in peer.pending { largest = max(largest, Int(segment.tcp.window) << peer.stackShift) }
                peer.discard()
            }
            #expect(percent == 100 ? largest > 200_000 : largest <= 65_535 + 1 << peer.stackShift, "\(largest)")
        }
    }

    @Test(
        "A window shrinks as octets arrive, never at its right edge, and never shuts out a peer that is read [SHLD-14]",
        arguments: Family.allCases)
    func windowsShrink(family: Family) {
        let configuration = Self.configuration {
            $0.holdingWindows = 0
            $0.shrinkingWindows = 0
            $0.endingTimeWait = 1
        }
        let peer = ScriptedPeer(family, configuration, offer: .scaled)
        peer.establish()
        var windows: [Int] = []
        for _ in 0..<100 {
            // The ledger holds the right edge.
            peer.send(length: 1400)
            peer.expectRead(1400)
            for segment in peer.pending { windows.append(Int(segment.tcp.window) << peer.stackShift) }
            peer.discard()
        }
        let two = 2 * (peer.host.configuration.mtu - family.fixedHeaders)
        let unit = 1 << peer.stackShift
        #expect(windows.first ?? 0 > 60_000)
        #expect(zip(windows, windows.dropFirst()).allSatisfy { $1 <= max($0, two) + unit }, "\(windows)")
        // What its share is, or two segments.
        #expect(windows.last ?? 0 >= two - unit && windows.last ?? .max < 8_000, "\(windows)")
    }

    @Test("A write takes less the less is left, and its program is told when there is more", arguments: Family.allCases)
    func writesShare(family: Family) {
        let configuration = Self.configuration(1 << 20) {
            $0.shrinkingWindows = 50
            $0.endingTimeWait = 70
        }
        let greedy = ScriptedPeer(family, configuration)
        greedy.establish()
        let first = greedy.write(1 << 20)
        #expect(first > 300_000 && first < 1 << 19, "up to where memory is scarce: \(first)")
        let late = ScriptedPeer(family, host: greedy.host, port: 4001)
        late.listener = greedy.listener
        late.establish()
        let second = late.write(100_000)
        #expect(second >= 2048 && second < 40_000, "an eighth of what is left: \(second)")
        #expect(!late.takeReadiness().contains(.writable))
        #expect(greedy.host.stack.audit() == nil)
        // Not by its own acknowledgments alone: what others give back counts.
        greedy.abort()
        #expect(late.takeReadiness().contains(.writable))
        #expect(late.write(100_000 - second) == 100_000 - second)
    }

    @Test("Of many that want memory each is told in its turn, and each gets some", arguments: Family.allCases)
    func turns(family: Family) {
        let configuration = Self.configuration(200 << 10) {
            $0.shrinkingWindows = 0
            $0.endingTimeWait = 1
        }
        let first = ScriptedPeer(family, configuration)
        first.listen()
        // 64 blocks of 2 KiB, less than there are connections.
        let peers = (0..<100).map { number in
            let peer = ScriptedPeer(family, host: first.host, port: UInt16(5000 + number))
            peer.listener = first.listener
            peer.establish(rtt: .zero)
            return peer
        }
        var open = peers.filter { $0.write(2048) < 2048 }
        #expect(open.count > 30 && open.count < 100)
        var rounds = 0
        var index = 0
        while !open.isEmpty, rounds < 1000 {
            rounds += 1
            // One after the other has all it sent acknowledged.
            let peer = peers[index % peers.count]
            index += 1
            peer.host.advance(by: .milliseconds(1))
            if peer.written > 0 { peer.send(.ack, ack: 1 + peer.written) }
            var told: Set<ConnectionID> = []
            for case .connection(let id, let readiness) in peer.host.events where readiness.contains(.writable) {
                told.insert(id)
            }
            peer.host.events.removeAll()
            open.removeAll { waiting in
                guard waiting.connection.map({ told.contains($0) }) ?? false else { return false }
                waiting.write(2048 - waiting.written)
                return waiting.written >= 2048
            }
            if rounds % 50 == 0 { #expect(first.host.stack.audit() == nil) }
        }
        #expect(open.isEmpty, "\(open.count) were never told")
    }

    @Test("The oldest TIME-WAIT entries go first, two with each packet; each is counted", arguments: Family.allCases)
    func timeWaits(family: Family) {
        let host = VirtualHost(Self.configuration { _ in }, families: [family])
        var listener: ListenerID?
        var peers: [ScriptedPeer] = []
        for number in 0..<5 {
            let peer = ScriptedPeer(family, host: host, port: UInt16(4000 + number))
            peer.listener = listener
            peer.enter(.timeWait)
            listener = peer.listener
            peer.release()
            peers.append(peer)
            host.advance(by: .milliseconds(10))
        }
        #expect(host.stack.memory.timeWaitCount == 5 && host.stack.counters.timeWaitsCutShort == 0)
        // The second one starts anew, and is the youngest then (RFC 9293 §3.10.7.4).
        peers[1].send([.fin, .ack], seq: 1)
        peers[1].expect(.ack, seq: 2, ack: 2)
        // Their order is the order of their ends.
        #expect(host.stack.audit() == nil)
        host.advance(to: Instant(nanoseconds: 61_015_000_000)) { false }
        #expect(host.stack.flows().map(\.remote.port).sorted() == [4001, 4002, 4003, 4004])
        host.advance(to: Instant(nanoseconds: 61_200_000_000)) { false }
        #expect(host.stack.memory.timeWaitCount == 0)
    }

    @Test("With memory short a TIME-WAIT entry ends before its time, the oldest first", arguments: Family.allCases)
    func timeWaitsCut(family: Family) {
        let host = VirtualHost(Self.configuration { $0.endingTimeWait = 0 }, families: [family])
        let peer = ScriptedPeer(family, host: host)
        peer.enter(.finWait2)
        let other = ScriptedPeer(family, host: host, port: 4001)
        other.listener = peer.listener
        other.enter(.finWait2)
        host.isLinkFull = true
        peer.send([.fin, .ack])
        // It enters, and makes room with the very packet.
        #expect(host.stack.memory.timeWaitCount == 0 && host.stack.counters.timeWaitsCutShort == 1)
        host.isLinkFull = false
        other.send(.ack)
        other.expectState(.finWait2)
    }

    @Test("With memory short SYNs get cookies [RFC 4987 §3.6, 4987-3]", arguments: Family.allCases, SynCookiesCase.all)
    func cookies(family: Family, wanted: SynCookiesCase) {
        var configuration = Self.configuration { $0.sendingCookies = 0 }
        configuration.synCookies = wanted.value
        let peer = ScriptedPeer(family, configuration)
        peer.listen()
        if wanted.value == .never {
            peer.send(.syn)
            peer.expectNothing()
            #expect(peer.host.stack.counters[.tooManyHalfOpen] == 1)
            #expect(peer.listener.flatMap { peer.host.stack.status(of: $0) }?.refusedForHalfOpen == 1)
        } else {
            peer.establish()
            #expect(peer.host.stack.counters.cookiesAccepted == 1)
            #expect(peer.listener.flatMap { peer.host.stack.status(of: $0) }?.connectionsByCookie == 1)
        }
        #expect(peer.host.stack.memory.halfOpenCount == 0)
    }

    struct SynCookiesCase: Sendable, CustomTestStringConvertible {
        var value: SynCookies
        var testDescription: String { "\(value)" }
        static let all = [SynCookies.never, .underPressure, .always].map { SynCookiesCase(value: $0) }
    }

    @Test(
        "Near the end neither a SYN nor a third segment is taken, nor answered; those that are there go on [4987-3]",
        arguments: Family.allCases)
    func refusing(family: Family) throws {
        let configuration = Self.configuration(1 << 20) { $0.refusingConnections = 40 }
        let first = ScriptedPeer(family, configuration)
        first.establish()
        let half = ScriptedPeer(family, host: first.host, port: 4001)
        half.listener = first.listener
        half.beginPassive()
        let written = first.write(450_000)
        #expect(written == 450_000)
        first.discard()
        half.send(.ack)
        half.expectNothing()
        let late = ScriptedPeer(family, host: first.host, port: 4002)
        late.listener = first.listener
        late.send(.syn)
        late.expectNothing()
        let status = try #require(first.listener.flatMap { first.host.stack.status(of: $0) })
        #expect(status.refusedForMemory == 2 && status.halfOpen == 1 && !status.isFull)
        #expect(first.host.stack.counters[.overloaded] == 2)
        first.send(length: 100)
        first.expectRead(100)
        // Memory comes back: both get in with what they send again.
        first.abort()
        half.send(.ack, seq: 1)
        half.accept()
        late.send(.syn, seq: 0)
        late.expect([.syn, .ack], ack: 1)
    }

    @Test(
        "At the last the oldest connection without a program is reset, one a packet, and never one that is held",
        arguments: Family.allCases)
    func orphans(family: Family) {
        let configuration = Self.configuration {
            $0.endingTimeWait = 0
            $0.resettingOrphans = 100
        }
        // So that connections can be made first: the level begins where this writes up to.
        var tight = configuration
        tight.memoryBudget = 1 << 20
        tight.memoryLevels.resettingOrphans = 40
        let states: [State] = [.finWait1, .finWait2, .closing, .lastAck]
        let held = ScriptedPeer(family, tight, port: 3999)
        held.establish()
        let peers = states.enumerated().map { index, state in
            let peer = ScriptedPeer(family, host: held.host, port: UInt16(4000 + index))
            peer.listener = held.listener
            peer.enter(state)
            return peer
        }
        // Released in another order than they were made.
        for index in [2, 0, 3, 1] { peers[index].release() }
        #expect(held.write(450_000) == 450_000)
        held.discard()
        var gone: [Int] = []
        for _ in 0..<4 {
            held.send(.ack, ack: 1)
            for index in peers.indices where !gone.contains(index) && peers[index].state == .closed {
                gone.append(index)
            }
        }
        #expect(gone == [2, 0, 3, 1])
        #expect(held.host.stack.counters.orphansReset == 4)
        // RFC 9293 §3.10.5: a reset where the peer does not know yet that all is over.
        for index in [0, 1] { peers[index].expect([.rst, .ack], seq: 2) }
        held.expectState(.established)
        for _ in 0..<10 { held.send(.ack, ack: 1) }
        held.expectState(.established)
        #expect(held.host.stack.audit() == nil)
    }

    @Test(
        "What is kept back lets a connection repair losses when all else is taken [RFC 6675, RFC 2018]",
        arguments: Family.allCases)
    func keptBack(family: Family) throws {
        let configuration = Self.configuration(1 << 20) { $0.keptBack = 10 }
        let peer = ScriptedPeer(family, configuration, offer: .sack)
        peer.establish()
        peer.write(20 * peer.mss)
        peer.discard()
        // The rest of the budget goes to another.
        let greedy = ScriptedPeer(family, host: peer.host, port: 4001)
        greedy.listener = peer.listener
        greedy.establish()
        let taken = greedy.write(1 << 20)
        #expect(taken < 1 << 20 && peer.host.stack.memory.total <= (1 << 20) / 10 * 9)
        let refusals = peer.host.stack.counters.memoryRefusals
        #expect(refusals > 0)
        for count in 1...3 { peer.sendSACK(ack: 1, [1 + peer.mss..<1 + (1 + count) * peer.mss]) }
        #expect(peer.host.stack.memory.recovery > 0)
        #expect(peer.pending.contains { peer.relative($0) == 1 && $0.length == peer.mss })
        #expect(peer.host.stack.audit() == nil)
    }

    @Test("Octets that arrive leave room for answers to be written", arguments: Family.allCases)
    func arrivals(family: Family) {
        let configuration = Self.configuration(1 << 20) { $0.refusingOctets = 30 }
        let peer = ScriptedPeer(family, configuration, offer: .scaled)
        peer.establish()
        for _ in 0..<400 { peer.send(length: 1400) }
        #expect(peer.host.stack.memory.buffers < (1 << 20) * 3 / 10)
        #expect(peer.host.stack.memory.buffers > (1 << 20) / 5)
        #expect(peer.write(200_000) == 200_000)
        #expect(peer.host.stack.audit() == nil)
    }
}
