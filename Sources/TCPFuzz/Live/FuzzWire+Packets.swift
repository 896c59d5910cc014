import TCPStack
import TCPWire

// What a wire does to packets besides losing them.
extension WireSession {
    /// One bit changes on the way, and the checksum with it no longer fits.
    func flip(_ index: Int) {
        guard !flights[index].isSpoilt else { return }
        flights[index].isSpoilt = true
        let position = Int(octets.next16()) % flights[index].bytes.count
        flights[index].bytes[position] ^= 1 << UInt8(octets.below(8))
    }

    /// Octets change, and the checksum is made to fit.
    func forge(_ index: Int) {
        isForged = true
        var bytes = flights[index].bytes
        guard let ip = try? IPHeader(parsing: bytes.span.bytes), ip.totalLength - ip.headerLength >= 20 else { return }
        let range = ip.headerLength..<ip.totalLength
        for _ in 0..<1 + octets.below(3) {
            bytes[range.lowerBound + Int(octets.next16()) % range.count] = octets.next()
        }
        let pseudo = naivePseudoHeader(ip.source, ip.destination, protocol: IPProtocol.tcp, length: range.count)
        mendChecksum(&bytes, range, field: range.lowerBound + 16, seed: naiveSum(pseudo))
        flights[index].bytes = bytes
    }

    /// Cuts a segment in two, or joins it with the one that follows it, as offloading links do.
    func resegment(_ index: Int, joins: Bool) {
        let flight = flights[index]
        guard !flight.isSpoilt, let first = read(flight.bytes) else { return }
        if joins {
            for other in flights.indices where other != index && flights[other].to == flight.to {
                guard !flights[other].isSpoilt, let second = read(flights[other].bytes), follows(first, second) else {
                    continue
                }
                var joined = first
                joined.payload += second.payload
                joined.flags.formUnion(second.flags)
                guard joined.payload.count <= 65_000 else { return }
                flights[index].bytes = joined.packet()
                flights[index].segmentSize = max(1, first.payload.count)
                flights.remove(at: other)
                return
            }
        } else if first.payload.count >= 2, !first.flags.contains(.syn) {
            let cut = 1 + octets.below(min(256, first.payload.count - 1))
            var head = first
            var tail = first
            head.payload = Array(first.payload[..<cut])
            head.flags.subtract([.fin, .psh])
            tail.payload = Array(first.payload[cut...])
            tail.sequence = first.sequence + cut
            flights[index] = Flight(bytes: head.packet(), to: flight.to, segmentSize: 0)
            flights.insert(
                Flight(bytes: tail.packet(), to: flight.to, segmentSize: flight.segmentSize), at: index + 1)
        }
    }

    private func follows(_ first: ForgedSegment, _ second: ForgedSegment) -> Bool {
        first.source == second.source && first.destination == second.destination
            && first.sequence + first.payload.count == second.sequence
            && first.acknowledgment == second.acknowledgment && first.window == second.window
            && first.options == second.options && !first.payload.isEmpty && !second.payload.isEmpty
            && first.flags.isDisjoint(with: [.syn, .fin, .rst]) && second.flags.isDisjoint(with: [.syn, .rst])
    }

    /// A packet as a segment that can be written again; `nil` for one that was spoilt.
    private func read(_ bytes: [UInt8]) -> ForgedSegment? {
        guard let ip = try? IPHeader(parsing: bytes.span.bytes), ip.protocolNumber == IPProtocol.tcp else { return nil }
        let segment = Array(bytes[ip.headerLength..<ip.totalLength])
        guard TCPHeader.isChecksumValid(segment.span.bytes, source: ip.source, destination: ip.destination),
            let tcp = try? TCPHeader(parsing: segment.span.bytes)
        else { return nil }
        var result = ForgedSegment(
            source: Endpoint(ip.source, tcp.sourcePort), destination: Endpoint(ip.destination, tcp.destinationPort))
        result.sequence = tcp.sequence
        result.acknowledgment = tcp.acknowledgment
        result.flags = tcp.flags
        result.window = tcp.window
        result.urgent = tcp.urgentPointer
        result.options = Array(segment[20..<tcp.headerLength])
        result.payload = Array(segment[tcp.headerLength...])
        result.hopLimit = ip.hopLimit
        return result
    }
}
