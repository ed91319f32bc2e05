/** Makes the site of the documentation; scripts/docs runs it. */
@NullMarked
package io.github.vfio4j.site;

import org.jspecify.annotations.NullMarked;
