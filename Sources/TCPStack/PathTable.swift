import TCPWire

/// What routers said of the paths of datagrams, which have no connection to keep it (RFC 1191 §6.2, RFC 8201 §5.2): a few
/// destinations, the one that was told of longest ago gives way.
struct PathTable {
    private struct Path {
        var destination = IPAddress(high: 0, low: 0)
        var mtu = 0
        var expiry = Instant.zero
    }

    private var paths: [32 of Path] = .init(repeating: Path())
    /// RFC 1191 §6.3: ten minutes until a larger one is tried again. In nanoseconds.
    private static let agingTime: Int64 = 600_000_000_000

    /// The largest packet for `destination`, as far as is known: `.max` where nothing is.
    func mtu(to destination: IPAddress, _ now: Instant) -> Int {
        for index in paths.indices where paths[index].expiry > now && paths[index].destination == destination {
            return paths[index].mtu
        }
        return .max
    }

    /// A router named an MTU. Below what every link takes it is no news (RFC 1191 §3: 68, RFC 8201 §4: 1280).
    mutating func report(_ mtu: Int, to destination: IPAddress, _ now: Instant) {
        guard mtu >= (destination.isIPv4 ? 68 : 1280), mtu < self.mtu(to: destination, now) else { return }
        var index = 0
        for candidate in paths.indices {
            if paths[candidate].expiry > now, paths[candidate].destination == destination {
                index = candidate
                break
            }
            if paths[candidate].expiry < paths[index].expiry { index = candidate }
        }
        paths[index] = Path(
            destination: destination, mtu: mtu, expiry: now.advanced(byNanoseconds: PathTable.agingTime))
    }
}
