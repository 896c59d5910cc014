import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Frames of chance, and good ones with octets changed: nothing of them traps, and every rule holds after each. Release
/// builds take 20,000, debug builds a fifth.
@Suite("Random frames")
struct RandomFrameTests {
    #if DEBUG
        private static let count = 1_000
    #else
        private static let count = 5_000
    #endif

    /// A linear congruential generator: the same run every time.
    private struct Chance {
        var state: UInt64
        mutating func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % max(bound, 1)
        }
    }

    private static var seeds: [[UInt8]] {
        let own = ip("fd00::1")
        let peer = ip("fd00::9")
        return [
            arpFrame(1, from: mac(9), ip("10.0.0.9"), to: ip("10.0.0.1")),
            arpFrame(2, from: mac(9), ip("10.0.0.9"), to: ip("10.0.0.1"), targetHardware: mac(1), frameTo: mac(1)),
            arpFrame(1, from: mac(9), ip("0.0.0.0"), to: ip("10.0.0.5")),
            arpFrame(1, from: mac(9), ip("10.0.0.5"), to: ip("10.0.0.5")),
            DiscoveryFrame(
                type: 135, source: peer, destination: own.solicitedNode, hardware: mac(9),
                body: big32(0) + octets(own) + linkOption(1, mac(9))
            ).frame(),
            DiscoveryFrame(
                type: 136, source: peer, destination: own, hardware: mac(9), frameTo: mac(1),
                body: big32(3 << 29) + octets(peer) + linkOption(2, mac(9))
            ).frame(),
            advertisement(
                router: 7, reachable: 5000, retransmission: 500,
                options: prefixOption("2001:db8::/64", valid: 30, preferred: 10) + [5, 1, 0, 0] + big32(1400)
            ).frame(),
            advertisement(router: 8, lifetime: 3, options: prefixOption("2001:db8:1::/64", valid: 5, preferred: 5))
                .frame(),
            DiscoveryFrame(
                type: 137, source: routerAddress(7), destination: own, hardware: mac(7), frameTo: mac(1),
                body: big32(0) + octets(routerAddress(8)) + octets(ip("2001:db8:9::1")) + linkOption(2, mac(8))
            ).frame(),
            DiscoveryFrame(
                type: 130, source: routerAddress(7), destination: .allNodes, hardware: mac(7), hopLimit: 1,
                body: big16(1000) + big16(0) + octets(.unspecifiedIPv6) + [2, 125, 0, 0],
                headers: [58, 0, 5, 2, 0, 0, 1, 0], firstHeader: 0
            ).frame(),
            ethernet(
                to: mac(1), from: mac(9), type: 0x0800,
                Injection(
                    source: Endpoint(ip("10.0.0.9"), 4000), destination: Endpoint(ip("10.0.0.1"), 80),
                    sequence: SequenceNumber(1), flags: .syn
                ).packet()),
        ]
    }

    @Test("Frames of chance and mutated ones break nothing, in any order, over time", arguments: 0..<4)
    func mutated(seed: Int) {
        var chance = Chance(state: UInt64(seed) &* 7919 &+ 1)
        var configuration = EthernetConfiguration.automatic
        configuration.neighbors = 8
        configuration.resolvingNeighbors = 4
        configuration.routers = 2
        configuration.prefixes = 2
        configuration.autoconfiguredAddresses = 3
        configuration.redirects = 2
        var settings = Configuration()
        settings.memoryBudget = seed % 2 == 0 ? 64 << 20 : 24 << 10
        var now = Instant(nanoseconds: 1_000_000_000)
        let host = EthernetHost(1, configuration, stack: settings, at: now)
        for address in ["10.0.0.1/24", "10.0.0.5/24", "fd00::1/64"] {
            host.link.addAddress(AddressPrefix(address)!, to: &host.stack, at: now)
        }
        _ = try? host.stack.listen(on: 80, at: now)
        let seeds = RandomFrameTests.seeds
        for _ in 0..<RandomFrameTests.count {
            var frame = seeds[chance.next(seeds.count)]
            for _ in 0..<chance.next(4) { frame[chance.next(frame.count)] = UInt8(chance.next(256)) }
            switch chance.next(10) {
            case 0: frame = Array(frame.prefix(chance.next(frame.count + 1)))
            case 1: frame += (0..<chance.next(40)).map { _ in UInt8(chance.next(256)) }
            case 2: frame = (0..<chance.next(120)).map { _ in UInt8(chance.next(256)) }
            default: break
            }
            // What was changed in a message is reached only behind a right checksum.
            if chance.next(3) > 0 { RandomFrameTests.mendChecksum(&frame) }
            host.receive(frame, at: now)
            switch chance.next(12) {
            case 0:
                now = now + .milliseconds(chance.next(3000))
                host.advance(to: now)
            case 1:
                let address = chance.next(2) == 0 ? IPAddress(10, 0, 0, UInt8(chance.next(255))) : ip("2001:db8:9::1")
                _ = try? host.stack.connect(to: Endpoint(address, 80), at: now)
            case 2:
                let address = ["10.0.0.1/24", "10.0.0.5/24", "fd00::1/64", "fe80::5/64"][chance.next(4)]
                host.link.addAddress(AddressPrefix(address)!, to: &host.stack, at: now)
            case 3 where chance.next(20) == 0:
                host.link.remove(from: &host.stack)
                #expect(host.stack.memory.neighbors == 0)
            case 4 where chance.next(10) == 0:
                host.link.removeAddress(ip("10.0.0.5"), from: &host.stack, at: now)
            default: break
            }
            var sent = 0
            while chance.next(8) > 0, host.nextFrame(at: now) != nil { sent += 1 }
            if let fault = host.audit() {
                Issue.record("\(fault) after \(frame)")
                return
            }
        }
        // Much of it was good.
        #expect(host.link.counters.arpReceived > 50)
        #expect(host.link.counters.discoveryReceived > 50)
        #expect(host.link.counters.framesSent > 50)
        host.link.remove(from: &host.stack)
        #expect(host.link.memoryBytes == 0 && host.audit() == nil)
    }

    /// Makes the checksum of a plain ICMPv6 message right.
    private static func mendChecksum(_ frame: inout [UInt8]) {
        guard frame.count >= 58, frame[12] == 0x86, frame[13] == 0xDD, frame[20] == 58 else { return }
        frame[56] = 0
        frame[57] = 0
        let end = min(54 + Int(frame[18]) << 8 + Int(frame[19]), frame.count)
        guard end > 58 else { return }
        let copy = frame
        let packet = copy.span.bytes
        var sum = Checksum()
        sum.add(packet.extracting(54..<end))
        sum.addPseudoHeader(
            source: packet.ipv6(22), destination: packet.ipv6(38), protocol: IPProtocol.icmpv6, length: end - 54)
        frame.replaceSubrange(56..<58, with: big16(sum.value))
    }
}
