/// Takes no room, and keeps what holds it where it lies. A structure that could be loaded into registers is copied whole
/// before each call that borrows it, be it hundreds of bytes; one with an existential in it is passed by its address.
package struct InPlace: Sendable {
    private let nothing: InlineArray<0, any Sendable> = []

    package init() {}
}
