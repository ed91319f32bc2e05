/** An application that uses vfio4j. */
module consumer {
    requires io.github.vfio4j;
}
