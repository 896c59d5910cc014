import TCPEngine
import TCPWire

// ICMP errors that this host sends about packets that came (RFC 1122 §3.2.2, RFC 4443 §2.4), within a rate.
extension Stack {
    /// Says what was wrong with a packet to whoever sent it, if that may be said, and there is room and rate for it.
    mutating func report(_ problem: ICMPProblem, about packet: RawSpan, _ ip: IPHeader, _ local: UInt16) {
        // RFC 1122 §3.2.2, RFC 4443 §2.4 e: never about an error. Later fragments, broadcasts and multicasts, and sources that
        // are no host, do not come this far.
        guard !isICMPError(packet, ip) else { return }
        guard errorLimit.allows(ip.source, secret, configuration, context.now) else {
            counts.errorsSuppressed &+= 1
            return
        }
        let isIPv4 = ip.source.isIPv4
        var head: [8 of UInt8] = .init(repeating: 0)
        var span = head.mutableSpan
        // Safe: octets may have any value.
        var bytes = unsafe span.mutableBytes
        let (type, code) = problem.typeAndCode(isIPv4: isIPv4)
        bytes.put8(type, at: 0)
        bytes.put8(code, at: 1)
        bytes.put32(problem.parameter(isIPv4: isIPv4), at: 4)
        // RFC 1812 §4.3.2.3, RFC 4443 §2.4 c: as much of the packet as the least MTU holds.
        let room = isIPv4 ? 576 &- 28 : 1280 &- 48
        let quoted = packet.extracting(0..<min(packet.byteCount, ip.totalLength, room))
        let key = FlowKey(remote: ip.source, remotePort: 0, local: local, localPort: 0)
        let message = Message(
            key: key,
            length: 8 &+ quoted.byteCount, protocolNumber: isIPv4 ? IPProtocol.icmp : IPProtocol.icmpv6,
            // RFC 1812 §4.3.2.5: the precedence of internetwork control.
            trafficClass: isIPv4 ? 0xC0 : 0, hopLimit: hopLimit(for: key))
        do throws(PacketFault) {
            try queue(message, .icmp, bytes.bytes, quoted, limit: configuration.icmpBuffer)
            counts.errorsSent &+= 1
        } catch {
            counts.repliesDropped &+= 1
        }
    }

    /// A header that could not be passed over: tells its sender where (RFC 8200 §4, RFC 1122 §3.2.2.5).
    mutating func reportHeader(of packet: RawSpan, _ interface: InterfaceID) {
        guard let found = HeaderProblem(in: packet), found.source.isValidSource, !found.source.isLoopback,
            !isBroadcastOrMulticast(found.source), let local = localIndex(found.destination, on: interface)
        else { return }
        var ip = IPHeader(source: found.source, destination: found.destination, protocolNumber: found.protocolNumber)
        ip.headerLength = found.transportOffset
        ip.totalLength = packet.byteCount
        report(found.problem, about: packet, ip, local)
    }

    /// RFC 1122 §3.2.2: not about ICMP errors, nor about redirects; ICMPv6 has the errors in the lower half of its types.
    private func isICMPError(_ packet: RawSpan, _ ip: IPHeader) -> Bool {
        guard ip.protocolNumber == IPProtocol.icmp || ip.protocolNumber == IPProtocol.icmpv6 else { return false }
        guard ip.headerLength < packet.byteCount else { return true }
        let type = packet.u8(ip.headerLength)
        if ip.protocolNumber == IPProtocol.icmpv6 { return type < 128 || type == 137 }
        return type == 3 || type == 4 || type == 5 || type == 11 || type == 12
    }
}

/// How many ICMP errors leave, as two limits of the kind that RFC 4443 §2.4 f asks for: each source's own, and all
/// together. Who shares a place with another shares its limit; which do, only the secret tells. What is left of the second
/// differs from second to second, so that nobody can count by it what others caused (CVE-2020-25705).
struct ErrorLimit {
    /// When each place's errors so far would have left at the permitted rate.
    private var sources: [64 of Instant] = .init(repeating: .zero)
    private var all = Instant.zero

    mutating func allows(
        _ source: IPAddress, _ secret: StackSecret, _ configuration: borrowing Configuration, _ now: Instant
    ) -> Bool {
        let rate = configuration.icmpErrorRate
        let sourceRate = configuration.icmpErrorRatePerSource
        guard rate > 0, sourceRate > 0 else { return false }
        // RFC 4941: who has one address of a /64 has all.
        let network = IPAddress(high: source.high, low: source.isIPv4 ? source.low : 0)
        let key = FlowKey(remote: network, remotePort: 0, local: 0, localPort: 0)
        let index = Int(key.hash(secret) % 64)
        let second = UInt16(truncatingIfNeeded: now.nanoseconds / 1_000_000_000)
        let jitter = FlowKey(remote: IPAddress(high: 0, low: 0), remotePort: second, local: 0, localPort: 0)
            .digest(secret, salt: 6)
        // A second's worth at once, less up to half of it.
        let burst = rate &- Int(jitter % UInt64(max(rate / 2, 1)))
        guard ErrorLimit.isWithin(sources[index], sourceRate, burst: sourceRate, now),
            ErrorLimit.isWithin(all, rate, burst: max(burst, 1), now)
        else { return false }
        ErrorLimit.count(&sources[index], sourceRate, now)
        ErrorLimit.count(&all, rate, now)
        return true
    }

    private static func interval(_ rate: Int) -> Int64 { 1_000_000_000 / Int64(clamping: rate) }

    private static func isWithin(_ expected: Instant, _ rate: Int, burst: Int, _ now: Instant) -> Bool {
        expected.nanoseconds &- now.nanoseconds <= interval(rate) &* Int64(clamping: burst &- 1)
    }

    private static func count(_ expected: inout Instant, _ rate: Int, _ now: Instant) {
        expected = max(expected, now).advanced(byNanoseconds: interval(rate))
    }
}
