/// The octets of every stream in a script: which octet stands where is known, so that a wrong one shows.
enum Payload {
    /// The octet at a place of a stream. Its period, 251, has no factor in common with any usual segment size.
    static func octet(at offset: Int) -> UInt8 { UInt8(truncatingIfNeeded: ((offset % 251) + 251) % 251) }

    static func octets(from offset: Int, count: Int) -> [UInt8] {
        guard count > 0 else { return [] }
        return (offset..<offset + count).map(octet(at:))
    }

    /// The first place that holds another octet than it should; `nil` when none does.
    static func firstFault(in octets: some Collection<UInt8>, from offset: Int) -> Int? {
        var place = offset
        for octet in octets {
            if octet != Payload.octet(at: place) { return place }
            place += 1
        }
        return nil
    }
}
