import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Packets that no host sends: from the stack to itself, with options, offsets and ports that cannot be.
@Suite("Nonsense on the wire")
struct NonsenseTests {
    private static let allFlags: [TCPFlags] = [
        .syn, [.syn, .ack], .ack, .rst, [.rst, .ack], [.fin, .ack], .fin, [], [.syn, .fin], [.syn, .rst],
        [.syn, .fin, .rst, .psh, .ack, .urg],
    ]

    @Test(
        "LAND: a segment with any flags from the stack's endpoint to itself is counted, answered with nothing, and leaves every state alone [B-34]",
        arguments: Family.allCases, State.allCases)
    func land(family: Family, state: State) {
        let peer = ScriptedPeer(family)
        peer.enter(state)
        let before = peer.state
        let memory = peer.host.stack.memory
        for flags in NonsenseTests.allFlags {
            for sequence in [0, 1, 0x2000_0001, UInt32.max] {
                var injection = Injection(
                    source: peer.target, destination: peer.target, sequence: SequenceNumber(sequence), flags: flags)
                injection.acknowledgment = SequenceNumber(sequence &+ 1)
                peer.host.inject(injection.packet())
            }
        }
        #expect(peer.host.stack.counters[.land] + peer.host.stack.counters[.noConnection] >= 44)
        #expect(peer.host.strays.isEmpty && peer.pending.isEmpty && peer.host.others.isEmpty)
        #expect(peer.state == before && peer.host.stack.memory == memory)
        #expect(peer.host.stack.audit() == nil)
    }

    @Test(
        "A SYN in the stack's own name from another port of it makes no storm: each packet has at most one answer [B-34]",
        arguments: Family.allCases)
    func ownAddress(family: Family) {
        // The link brings back what is addressed to the stack.
        for port in [UInt16(80), 81] {
            let host = VirtualHost(families: [family])
            do { _ = try host.stack.listen(on: 80, at: host.now) } catch { Issue.record("listen threw \(error)") }
            let source = Endpoint(family.stackAddress, 5000)
            for flags in NonsenseTests.allFlags {
                let injection = Injection(
                    source: source, destination: Endpoint(family.stackAddress, port), sequence: SequenceNumber(7),
                    flags: flags)
                host.inject(injection.packet())
            }
            host.advance(by: .seconds(120))
            let counters = host.stack.counters
            #expect(counters.packetsSent <= 4 * UInt64(NonsenseTests.allFlags.count), "\(counters.packetsSent)")
            #expect(host.stack.memory.halfOpenCount == 0 && host.stack.memory.connectionCount == 0)
            #expect(host.stack.audit() == nil)
        }
    }

    /// An option field: lengths of zero, odd, right and far too long ones, as the seed has it.
    private static func optionField(_ random: inout Pseudorandom) -> [UInt8] {
        var octets: [UInt8] = []
        let length = Int(random.next() % 11) * 4
        while octets.count < length {
            let kinds: [UInt8] = [0, 1, 2, 3, 4, 5, 8, 19, 28, 29, 30, 34, 69, 253, 254, 255]
            let kind =
                random.next() % 4 == 0 ? UInt8(truncatingIfNeeded: random.next()) : kinds[Int(random.next() % 16)]
            octets.append(kind)
            guard kind > 1 else { continue }
            let lengths: [UInt8] = [0, 1, 2, 3, 4, 5, 6, 10, 12, 18, 26, 34, 38, 40, 41, 255]
            octets.append(lengths[Int(random.next() % 16)])
            for _ in 0..<random.next() % 12 { octets.append(UInt8(truncatingIfNeeded: random.next())) }
        }
        return Array(octets.prefix(length))
    }

    @Test(
        "10⁵ option fields, of lengths zero, odd and past the header among them, end nothing, and the last cost at most 4 times the first [B-20, MUST-7]",
        arguments: Family.allCases)
    func options(family: Family) {
        let target = Target(family)
        let peer = Peer(target)
        #expect(peer.open(sack: true, scale: 7))
        var random = Pseudorandom(seed: 1323)
        let count = attacks(100_000, debug: 4_000)
        let empty = target.stack.memory.total
        var most = 0
        let packets: [[UInt8]] = (0..<count).map { index in
            var injection = Injection(
                source: index % 2 == 0 ? peer.endpoint : Endpoint(family.address(3), UInt16(1024 + index % 60_000)),
                destination: target.endpoint, sequence: peer.next, flags: index % 2 == 0 ? .ack : .syn)
            injection.acknowledgment = peer.received
            injection.options = NonsenseTests.optionField(&random)
            return injection.packet()
        }
        let work = Work.blocks(count, of: 250) { index in
            target.deliver(packets[index])
            target.drain()
            if index % 100 == 0 { most = max(most, target.stack.memory.total - empty) }
        }
        let counters = target.stack.counters
        #expect(counters[.badOption] > 0 && counters.segmentsReceived > UInt64(count / 10))
        #expect(counters[.badOption] + counters[.queueFull] + counters.segmentsReceived >= UInt64(count))
        #expect(peer.state == .established && target.fault == nil)
        #expect(most <= 128 * 1024, "\(most) bytes")
        let growth = Work.growth(work, first: 4)
        print("option fields: the last packets cost \(growth) % of the first thousand")
        #expect(growth <= 400)
        // The connection's options are what the handshake made them.
        peer.send([.psh, .ack], payload: 100)
        #expect(peer.id.map { target.read($0) } == 100)
    }

    @Test(
        "Every data offset but those from 5 words to the segment's end is counted, and no octet of such a segment is taken [B-34]",
        arguments: Family.allCases)
    func dataOffset(family: Family) {
        for payload in [0, 1, 3, 4, 20, 39, 40, 100] {
            let peer = ScriptedPeer(family)
            peer.establish()
            var faults = 0
            for offset in UInt8(0)...15 where offset != 5 {
                let fits = offset >= 5 && Int(offset) * 4 <= 20 + payload
                if !fits { faults += 1 }
                // Zeros read as options are the end of the options. What fits is a segment like another, and lies outside.
                peer.send(seq: fits ? 100_000_000 : 1, data: [UInt8](repeating: 0, count: payload)) {
                    $0.dataOffset = offset
                }
            }
            #expect(peer.host.stack.counters[.badHeaderLength] == UInt64(faults), "\(payload) octets")
            peer.discard()
            peer.expectState(.established)
            peer.expectRead(.wouldBlock)
        }
    }

    @Test(
        "A segment from port 0 or to it is counted and answered with nothing, in every state [RFC 6335 §6, B-34]",
        arguments: Family.allCases, State.allCases)
    func portZero(family: Family, state: State) {
        let peer = ScriptedPeer(family)
        peer.enter(state)
        let before = peer.state
        let start = peer.host.stack.counters[.portZero]
        for flags in NonsenseTests.allFlags {
            for (from, to) in [(0, peer.target.port), (peer.endpoint.port, 0), (0, 0)] as [(UInt16, UInt16)] {
                let injection = Injection(
                    source: Endpoint(peer.endpoint.address, from), destination: Endpoint(peer.target.address, to),
                    sequence: SequenceNumber(1), flags: flags)
                peer.host.inject(injection.packet())
            }
        }
        #expect(peer.host.stack.counters[.portZero] - start == UInt64(3 * NonsenseTests.allFlags.count))
        #expect(peer.state == before && peer.pending.isEmpty && peer.host.strays.isEmpty)
    }
}
