import TCPSimulator
import TCPWire

/// A link, what it does wrong, and what is carried over it.
struct WireScenario: Sendable {
    let name: String
    let exchange: WireExchange
    /// The same in short.
    let quickExchange: WireExchange
    /// Whether it is one of the few that the short form is content with.
    var isAlwaysMeasured = false
    var loss = 0.0
    var reordering = 0.0
    var jitter: Duration = .zero

    /// 20 ms there and back, and a queue of 128 KiB.
    var link: LinkConfiguration {
        var link = LinkConfiguration(rate: 50e6, delay: .milliseconds(10), queue: 128 << 10)
        link.jitter = jitter
        return link
    }

    /// A full segment over a link of 1500 octets, with timestamps.
    static let segmentSize = 1448

    /// A wire on which each run with this seed meets the same losses: segments by their place in the stream,
    /// acknowledgments by their number.
    func wire(seed: UInt64) -> (wire: Wire, bulk: SequenceFaults) {
        let wire = Wire(link, seed: seed)
        let faults = [Wire.End.left, .right].map { end in
            let faults = SequenceFaults(
                seed: seed &* 2 &+ UInt64(end.rawValue), segmentSize: WireScenario.segmentSize)
            faults.loss = loss
            faults.reordering = reordering
            faults.reorderingDelay = .milliseconds(10)
            wire.direction(from: end).script = { faults.fate(of: $0) }
            wire.direction(from: end).faults.loss = loss
            return faults
        }
        return (wire, faults[0])
    }

    /// Sizes for runs of 2 to 6 seconds, and in short for less than one.
    static let all = [
        WireScenario(
            name: "clean", exchange: .bulk(16_000_000), quickExchange: .bulk(2_000_000), isAlwaysMeasured: true),
        WireScenario(
            name: "0.1 % loss", exchange: .bulk(12_000_000), quickExchange: .bulk(3_000_000), loss: 0.001),
        WireScenario(
            name: "1 % loss", exchange: .bulk(3_000_000), quickExchange: .bulk(600_000), isAlwaysMeasured: true,
            loss: 0.01),
        WireScenario(name: "3 % loss", exchange: .bulk(1_500_000), quickExchange: .bulk(300_000), loss: 0.03),
        WireScenario(
            name: "3 % reordered by up to 10 ms", exchange: .bulk(12_000_000), quickExchange: .bulk(3_000_000),
            reordering: 0.03),
        WireScenario(
            name: "jitter of up to 5 ms", exchange: .bulk(16_000_000), quickExchange: .bulk(3_000_000),
            jitter: .milliseconds(5)),
        WireScenario(
            name: "100 KB responses, 1 % loss", exchange: .responses(20, of: 100_000),
            quickExchange: .responses(5, of: 100_000), loss: 0.01),
    ]

    /// Those to measure: the ones whose name contains `text`, or else all, or in short a few.
    static func chosen(quick: Bool, only text: String?) throws -> [WireScenario] {
        guard let text else { return all.filter { !quick || $0.isAlwaysMeasured } }
        let chosen = all.filter { $0.name.contains(text) }
        guard !chosen.isEmpty else {
            throw BenchmarkFailure("no wire is named \(text): \(all.map(\.name).joined(separator: "; "))")
        }
        return chosen
    }
}

/// Who talks to whom over the wire; the bulk goes from the first to the second.
enum WirePair: String, CaseIterable, Sendable {
    case kernelToKernel = "kernel to kernel"
    case oursToKernel = "ours to kernel"
    case kernelToOurs = "kernel to ours"

    /// Where our stack is.
    var ours: Wire.End? {
        switch self {
        case .kernelToKernel: nil
        case .oursToKernel: .left
        case .kernelToOurs: .right
        }
    }
}
