import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 6528, RFC 6056, RFC 7323 §7.1, RFC 7739: what an outsider collects tells nothing about what comes next.
@Suite("Numbers that must not be guessed")
struct PredictabilityTests {
    private static let samples = attacks(100_000, debug: 4_000)

    /// What ISN and timestamp the stack answers SYNs from `endpoints` with, each then forgotten.
    private func harvest(
        _ family: Family, secret: StackSecret = StackSecret(0xA5A5_1234, 99), pause: Duration = .zero,
        _ endpoints: (Int) -> Endpoint, count: Int = samples
    ) -> (isns: [UInt32], stamps: [UInt32]) {
        let target = Target(family, secret: secret)
        var isns: [UInt32] = []
        var stamps: [UInt32] = []
        var options = TCPOptions()
        options.timestamps = TCPTimestamps(value: 1, echo: 0)
        for index in 0..<count {
            let source = endpoints(index)
            var segment = TCPHeader(
                sourcePort: source.port, destinationPort: Target.port, sequence: SequenceNumber(7), flags: .syn,
                window: 65_535, options: options)
            target.deliver(segment, from: source.address)
            target.drain { answer in
                isns.append(answer.tcp.sequence.rawValue)
                stamps.append(answer.tcp.options.timestamps?.value ?? 0)
            }
            segment.flags = .rst
            segment.sequence = SequenceNumber(8)
            target.deliver(segment, from: source.address)
            if pause > .zero { target.pass(pause) }
        }
        #expect(isns.count == count && target.stack.memory.halfOpenCount == 0)
        return (isns, stamps)
    }

    private func hold(_ numbers: [UInt32], bits: Int = 32, _ what: String) {
        let statistics = Statistics(numbers, bits: bits)
        let chi = statistics.worstByte
        let serial = (1...4).map { statistics.serialCorrelation(lag: $0) }.max() ?? 0
        let peak = statistics.spectralPeak()
        // n²/2^(bits+1) pairs of equal differences by chance, and five deviations of it.
        let pairs = Double(numbers.count) * Double(numbers.count) / Double(UInt64(1) << UInt64(bits + 1))
        let again = statistics.repeatedDifferences
        print(
            "\(what): χ² \(chi) σ, serial \(serial) σ, spectral peak \(peak), differences again \(again) (chance \(pairs))"
        )
        #expect(chi <= 5, "\(what): χ²")
        #expect(serial <= 5, "\(what): serial correlation")
        // 32·e^(−18) is one in two million.
        #expect(peak <= 18, "\(what): a frequency stands out")
        if bits == 32 { #expect(Double(again) <= pairs + 5 * (pairs + 1).squareRoot() + 1, "\(what): differences") }
    }

    @Test(
        "10⁵ ISNs of neighbouring ports, of neighbouring addresses, at one time: χ² and serial correlation within 5 σ, no frequency, no difference more often than chance [6528-1, MUST-9]",
        arguments: Family.allCases)
    func initialSequences(family: Family) {
        let ports = harvest(family) { Endpoint(family.address(2 + $0 / 60_000), UInt16(1024 + $0 % 60_000)) }
        hold(ports.isns, "ISNs by port, \(family)")
        let hosts = harvest(family) { Endpoint(family.address(2 + $0 % 60_000), UInt16(1024 + $0 / 60_000)) }
        hold(hosts.isns, "ISNs by address, \(family)")
        // As one who connects again and again sees them, the clock running.
        let timed = harvest(family, pause: .microseconds(137)) {
            Endpoint(family.address(2 + $0 / 60_000), UInt16(1024 + $0 % 60_000))
        }
        hold(timed.isns, "ISNs by port and time, \(family)")
    }

    @Test(
        "One four-tuple's ISNs rise by the clock of 4 µs and by nothing else, all its 4.8 hours round; another's tell nothing of them [6528-1, MUST-8]",
        arguments: Family.allCases)
    func clock(family: Family) {
        let target = Target(family)
        let remote = Endpoint(family.address(2), 5000)
        var random = Pseudorandom(seed: 6528)
        var now = Int64(1_000_000_000)
        var last = target.stack.initialSequence(remote: remote, localPort: 80, at: Instant(nanoseconds: now))
        for _ in 0..<attacks(100_000, debug: 5_000) {
            // 2³¹ ticks at most, beyond which earlier and later mean nothing.
            let step = Int64(random.next() % 8_000_000_000_000)
            let ticks = (now + step) / 4000 - now / 4000
            now += step
            let next = target.stack.initialSequence(remote: remote, localPort: 80, at: Instant(nanoseconds: now))
            #expect(next.rawValue &- last.rawValue == UInt32(truncatingIfNeeded: ticks) && (ticks == 0 || next > last))
            last = next
        }
        // The distance between two tuples is the same at any time under one secret, and another under another.
        var distances: [UInt32] = []
        for secret in 0..<UInt64(PredictabilityTests.samples / 2) {
            let stack = Stack(secret: StackSecret(secret, ~secret))
            let one = stack.initialSequence(remote: remote, localPort: 80, at: .zero)
            let other = stack.initialSequence(
                remote: Endpoint(family.address(2), 5001), localPort: 80, at: .zero)
            distances.append(one.rawValue &- other.rawValue)
        }
        hold(distances, "distance of two tuples by secret, \(family)")
    }

    @Test(
        "10⁵ timestamp clocks start each elsewhere: χ² and serial correlation within 5 σ [RFC 7323 §7.1, 6528-1]",
        arguments: Family.allCases)
    func timestamps(family: Family) {
        let (isns, stamps) = harvest(family) {
            Endpoint(family.address(2 + $0 / 60_000), UInt16(1024 + $0 % 60_000))
        }
        hold(stamps, "timestamps by port, \(family)")
        hold(zip(isns, stamps).map { $0 ^ $1 }, "ISNs and timestamps together, \(family)")
    }

    @Test(
        "Ephemeral ports to 10⁵ destinations: χ² and serial correlation within 5 σ, all of 49152 and up [6528-2, RFC 6056 §3.3.4]",
        arguments: Family.allCases)
    func ports(family: Family) throws {
        let target = Target(family, backlog: nil)
        var ports: [UInt32] = []
        for index in 0..<PredictabilityTests.samples {
            let remote = Endpoint(family.address(2 + index / 200), UInt16(1 + index % 200))
            let id = try target.stack.connect(to: remote, at: target.now)
            let port = try #require(target.stack.status(of: id)?.local.port)
            ports.append(UInt32(port))
            target.stack.abort(id, at: target.now)
        }
        #expect(ports.allSatisfy { $0 >= 49_152 })
        hold(ports.map { $0 - 49_152 }, bits: 14, "ephemeral ports, \(family)")
    }

    @Test(
        "Who sees the ports to one destination learns of connections to at most 1 in 8 others [RFC 6056 §3.3.4]",
        arguments: Family.allCases)
    func portsLeak(family: Family) throws {
        let target = Target(family, backlog: nil)
        func port(_ remote: Endpoint) throws -> Int {
            let id = try target.stack.connect(to: remote, at: target.now)
            defer { target.stack.abort(id, at: target.now) }
            return Int(try #require(target.stack.status(of: id)?.local.port))
        }
        let observer = Endpoint(family.address(2), 80)
        var seen = 0
        for index in 0..<800 {
            let before = try port(observer)
            _ = try port(Endpoint(family.address(3 + index), 443))
            if (try port(observer) - before + 16_384) % 16_384 != 1 { seen += 1 }
        }
        #expect(seen <= 100, "\(seen) of 800")
    }

    /// The identification of the answer to a cut echo request of that host.
    private func identification(_ target: Target, _ number: Int, _ round: UInt32) -> UInt32? {
        let family = target.family
        for piece in cut(echoRequest(family, pattern(1480), from: number), sizes: [800], identification: round) {
            target.deliver(piece.packet(family, from: number))
        }
        return target.takeIdentification()
    }

    @Test(
        "Who gets fragments learns of those to at most 1 in 8 other hosts [RFC 7739 §5.3, 6528-3]",
        arguments: Family.allCases)
    func identificationsLeak(family: Family) throws {
        let target = Target(family)
        let count = attacks(800, debug: 240)
        var seen = 0
        for index in 0..<count {
            let before = try #require(identification(target, 2, UInt32(2 * index)))
            _ = try #require(identification(target, 3 + index, 1))
            let after = try #require(identification(target, 2, UInt32(2 * index + 1)))
            if after &- before != 1, before &- after != 0xFFFF { seen += 1 }
        }
        #expect(seen <= count / 8, "\(seen) of \(count)")
    }

    @Test(
        "Identifications of fragments to 10⁴ destinations: χ² and serial correlation within 5 σ; to one of them none comes again in 2¹⁶ [6528-3, RFC 6864 §4.2, RFC 7739 §5.3]",
        arguments: Family.allCases)
    func identifications(family: Family) {
        let target = Target(family)
        var numbers: [UInt32] = []
        for number in 0..<attacks(10_000, debug: 600) {
            if let found = identification(target, 2 + number, 1) { numbers.append(found) }
        }
        #expect(numbers.count == attacks(10_000, debug: 600))
        hold(numbers, bits: family == .ipv4 ? 16 : 32, "identifications, \(family)")
        var own: Set<UInt32> = []
        let count = attacks(65_536, debug: 600)
        for round in 0..<count { if let found = identification(target, 2, UInt32(round)) { own.insert(found) } }
        #expect(own.count == count)
    }
}

extension Target {
    /// The identification of the next fragments the stack sends: both of one reply have the same.
    fileprivate func takeIdentification() -> UInt32? {
        var found: Set<UInt32> = []
        var count = 0
        drainPackets { packet in
            count += 1
            guard let fragment = (try? IPHeader(parsing: packet))?.fragment else { return }
            found.insert(fragment.identification)
        }
        return count == 2 && found.count == 1 ? found.first : nil
    }
}
